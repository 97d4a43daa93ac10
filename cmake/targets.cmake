# dynofa::headers   the include path and the language level: enough for core, space, model and backend headers
# dynofa::dynofa    what every user links: headers plus the libraries that files, images and tables need
# dynofa::reference the plain backend that judges all others (header-only, so: an alias with a name of its own)
# dynofa::cpu       the hand-written CPU kernels (header-only)
add_library(dynofa_headers INTERFACE)
add_library(dynofa::headers ALIAS dynofa_headers)
set_target_properties(dynofa_headers PROPERTIES EXPORT_NAME headers)
target_compile_features(dynofa_headers INTERFACE cxx_std_20)
target_include_directories(dynofa_headers INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                                    $<INSTALL_INTERFACE:include>)
target_link_libraries(dynofa_headers INTERFACE Threads::Threads Boost::headers Eigen3::Eigen xtensor
                                               nlohmann_json::nlohmann_json)

add_library(dynofa INTERFACE)
add_library(dynofa::dynofa ALIAS dynofa)
target_link_libraries(dynofa INTERFACE dynofa_headers yaml-cpp JPEG::JPEG PNG::PNG PkgConfig::dynofa_libzip
                                       PkgConfig::dynofa_xxhash)

add_library(dynofa_reference INTERFACE)
add_library(dynofa::reference ALIAS dynofa_reference)
set_target_properties(dynofa_reference PROPERTIES EXPORT_NAME reference)
target_link_libraries(dynofa_reference INTERFACE dynofa)

add_library(dynofa_cpu INTERFACE)
add_library(dynofa::cpu ALIAS dynofa_cpu)
set_target_properties(dynofa_cpu PROPERTIES EXPORT_NAME cpu)
target_include_directories(dynofa_cpu INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/backends/cpu/include>)
target_link_libraries(dynofa_cpu INTERFACE dynofa)
