include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME libdynofa-dev) # the Debian package that all of this goes into
set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/dynofa)

foreach(level IN LISTS dynofa_levels)
  install(TARGETS ${dynofa_${level}_targets} EXPORT dynofa-${level})
  install(EXPORT dynofa-${level} NAMESPACE dynofa:: DESTINATION ${package_folder})
endforeach()
install(DIRECTORY include/dynofa backends/cpu/include/dynofa backends/cuda/include/dynofa simulate/include/dynofa TYPE INCLUDE)
install(FILES backends/cuda/cuda.cu DESTINATION ${CMAKE_INSTALL_DATADIR}/dynofa)

configure_package_config_file(cmake/dynofaConfig.cmake.in ${PROJECT_BINARY_DIR}/dynofaConfig.cmake
                              INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/dynofaConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/dynofaConfig.cmake ${PROJECT_BINARY_DIR}/dynofaConfigVersion.cmake
              cmake/dependencies.cmake cmake/cuda.cmake DESTINATION ${package_folder})

# dynofa.pc is dynofa::dynofa, headers alone. dynofa-runtime.pc is what of the device's levels is compiled; who names both has all.
set(design_modules)
set(device_modules)
foreach(row IN LISTS dynofa_dependencies)
  dynofa_read_dependency("${row}")
  if(dynofa_module AND dynofa_version)
    string(APPEND dynofa_module " >= ${dynofa_version}")
  endif()
  if(dynofa_module)
    list(APPEND design_modules ${dynofa_module})
    if(NOT dynofa_level STREQUAL "design")
      list(APPEND device_modules ${dynofa_module})
    endif()
  endif()
endforeach()
set(archives)
set(definitions)
foreach(target IN LISTS dynofa_headers_targets dynofa_runtime_targets)
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "STATIC_LIBRARY")
    get_target_property(defined ${target} INTERFACE_COMPILE_DEFINITIONS)
    string(APPEND definitions " -D${defined}")
    string(APPEND archives " -l${target}")
  endif()
endforeach()
# dynofa_install_pc(NAME DESCRIPTION MODULES CFLAGS LIBS): relative to where the file lies, so that a prefix may be moved
function(dynofa_install_pc name description modules cflags libs)
  set(folder /${CMAKE_INSTALL_LIBDIR}/pkgconfig)
  file(RELATIVE_PATH up ${folder} /)
  string(REGEX REPLACE "/$" "" up ${up})
  list(JOIN modules ", " modules)
  file(WRITE ${PROJECT_BINARY_DIR}/${name}.pc "prefix=\${pcfiledir}/${up}
includedir=\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}
libdir=\${prefix}/${CMAKE_INSTALL_LIBDIR}

Name: ${name}
Description: ${description}
Version: ${PROJECT_VERSION}
Requires: ${modules}
Cflags: -I\${includedir} -pthread${cflags}
Libs: ${libs}-pthread
")
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()
dynofa_install_pc(dynofa "${PROJECT_DESCRIPTION} (all headers, C++20)" "${design_modules}" "" "")
dynofa_install_pc(dynofa-runtime "${PROJECT_DESCRIPTION} (what a device ships, compiled, C++20)" "${device_modules}"
                  "${definitions}" "-L\${libdir}${archives} ")
if(PROJECT_IS_TOP_LEVEL)
  include(cmake/packaging/debian.cmake)
endif()
