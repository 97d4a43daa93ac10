include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/dynofa)

install(TARGETS dynofa_headers dynofa_runtime dynofa_cpu dynofa_cpu_compiled EXPORT dynofaRuntimeTargets)
install(TARGETS dynofa dynofa_reference EXPORT dynofaTargets)
install(DIRECTORY include/dynofa backends/cpu/include/dynofa backends/cuda/include/dynofa simulate/include/dynofa TYPE INCLUDE)
install(FILES backends/cuda/cuda.cu DESTINATION ${CMAKE_INSTALL_DATADIR}/dynofa)
install(EXPORT dynofaRuntimeTargets NAMESPACE dynofa:: DESTINATION ${package_folder})
install(EXPORT dynofaTargets NAMESPACE dynofa:: DESTINATION ${package_folder})

configure_package_config_file(cmake/dynofaConfig.cmake.in ${PROJECT_BINARY_DIR}/dynofaConfig.cmake
                              INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/dynofaConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/dynofaConfig.cmake ${PROJECT_BINARY_DIR}/dynofaConfigVersion.cmake
              cmake/dependencies.cmake cmake/cuda.cmake DESTINATION ${package_folder})
