# An overlay port of the tree that it lies in:
#
#   vcpkg install dynofa --overlay-ports=cmake/packaging/vcpkg
get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../../../.." ABSOLUTE)

vcpkg_find_acquire_program(PKGCONFIG)
vcpkg_cmake_configure(SOURCE_PATH "${SOURCE_PATH}"
                      OPTIONS -DDYNOFA_TESTS=OFF -DDYNOFA_EXAMPLES=OFF -DDYNOFA_BENCHMARKS=OFF -DDYNOFA_CUDA=OFF -DDYNOFA_INSTALL=ON
                              "-DPKG_CONFIG_EXECUTABLE=${PKGCONFIG}")
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH lib/cmake/dynofa)
vcpkg_fixup_pkgconfig()
# vcpkg's rule: headers once, licences in a place of its own
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/debug/include" "${CURRENT_PACKAGES_DIR}/debug/share" "${CURRENT_PACKAGES_DIR}/share/doc")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
