include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS dynofa_headers dynofa dynofa_reference dynofa_cpu EXPORT dynofaTargets)
install(DIRECTORY include/dynofa backends/cpu/include/dynofa backends/cuda/include/dynofa TYPE INCLUDE)
install(FILES backends/cuda/cuda.cu DESTINATION ${CMAKE_INSTALL_DATADIR}/dynofa)
install(EXPORT dynofaTargets NAMESPACE dynofa:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/dynofa)

configure_package_config_file(cmake/dynofaConfig.cmake.in ${PROJECT_BINARY_DIR}/dynofaConfig.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/dynofa)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/dynofaConfigVersion.cmake COMPATIBILITY SameMinorVersion
                                 ARCH_INDEPENDENT)
install(FILES ${PROJECT_BINARY_DIR}/dynofaConfig.cmake ${PROJECT_BINARY_DIR}/dynofaConfigVersion.cmake
              cmake/dependencies.cmake cmake/cuda.cmake DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/dynofa)
