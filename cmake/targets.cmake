# Each target is a component of find_package(dynofa); these three are the only lists of them, by what they need
# (cmake/dependencies.cmake).
set(dynofa_headers_components headers cpu cpu_compiled)
set(dynofa_runtime_components runtime)
set(dynofa_design_components dynofa reference)

# What a device ships:
# dynofa::headers      the include path, C++20, threads, Boost's headers (Hana, Circular Buffer): enough for core/ and space/ but what
#                      reads or writes JSON, for model/ up to plans, super-networks and batch norm, for backend/concept.hpp and session.hpp,
#                      for data/frame_preprocessor.hpp, and for runtime/ but files of logs and the classifier that opens a family
#                      (tests/runtime_only says which headers these are)
# dynofa::runtime      that, and families read and written, compiled; a program that links it reads no JSON library
# dynofa::cpu          the hand-written CPU kernels (header-only)
# dynofa::cpu_compiled the same, compiled, and optimised whatever the build type
# What design time adds:
# dynofa::dynofa       all headers with all libraries that files, images, tables and predictors need
# dynofa::reference    the plain backend that judges all others (header-only, so: an alias with a name of its own)
add_library(dynofa_headers INTERFACE)
target_compile_features(dynofa_headers INTERFACE cxx_std_20)
target_include_directories(dynofa_headers INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                                    $<INSTALL_INTERFACE:include>)
target_link_libraries(dynofa_headers INTERFACE Threads::Threads Boost::headers)

add_library(dynofa_cpu INTERFACE)
target_include_directories(dynofa_cpu INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/backends/cpu/include>)
target_link_libraries(dynofa_cpu INTERFACE dynofa_headers)

add_library(dynofa_cpu_compiled STATIC backends/cpu/cpu.cpp)
target_link_libraries(dynofa_cpu_compiled PUBLIC dynofa_cpu)
target_compile_definitions(dynofa_cpu_compiled INTERFACE DYNOFA_CPU_KERNELS_LINKED)

add_library(dynofa_runtime STATIC src/runtime.cpp)
target_link_libraries(dynofa_runtime PUBLIC dynofa_headers
                                     PRIVATE PkgConfig::dynofa_libxxhash $<BUILD_INTERFACE:nlohmann_json::nlohmann_json>)
target_compile_definitions(dynofa_runtime INTERFACE DYNOFA_RUNTIME_LINKED)

foreach(archive dynofa_cpu_compiled dynofa_runtime)
  set_target_properties(${archive} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_compile_options(${archive} PRIVATE $<IF:$<CONFIG:Asan,Tsan>,-O1,-O2>) # stands behind the build type's own -O
  if(NOT DYNOFA_INSTALL)
    set_target_properties(${archive} PROPERTIES EXCLUDE_FROM_ALL TRUE)
  endif()
endforeach()

add_library(dynofa INTERFACE)
target_include_directories(dynofa INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/simulate/include>)
target_link_libraries(dynofa INTERFACE dynofa_headers Eigen3::Eigen xtensor nlohmann_json::nlohmann_json yaml-cpp
                                       JPEG::JPEG PNG::PNG PkgConfig::dynofa_libzip PkgConfig::dynofa_libxxhash)

add_library(dynofa_reference INTERFACE)
target_link_libraries(dynofa_reference INTERFACE dynofa)

foreach(level IN LISTS dynofa_levels)
  foreach(component IN LISTS dynofa_${level}_components)
    string(REGEX REPLACE "^dynofa_dynofa$" "dynofa" target dynofa_${component})
    list(APPEND dynofa_${level}_targets ${target})
    add_library(dynofa::${component} ALIAS ${target})
    set_target_properties(${target} PROPERTIES EXPORT_NAME ${component})
  endforeach()
endforeach()
