# libdynofa-dev, and dynofa-tools where DYNOFA_TOOLS is on: `cmake --preset package && cmake --build --preset package`. Any other build
# makes libdynofa-dev too, by cpack or the target `package`.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_VENDOR "the dynofa authors")
set(CPACK_PACKAGE_CONTACT "the dynofa authors <authors@dynofa.invalid>") # a name that nobody can own: packages are not published
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL libdynofa-dev)
if(CMAKE_CROSSCOMPILING AND CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
  set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE arm64) # otherwise that of the machine that packs
endif()

# The device's levels cannot do without; who links dynofa::dynofa needs the rest.
set(depends)
set(recommends)
foreach(row IN LISTS dynofa_dependencies)
  dynofa_read_dependency("${row}")
  string(REGEX REPLACE "^(.+)$" " (>= \\1)" dynofa_version "${dynofa_version}")
  if(NOT dynofa_debian)
    continue()
  elseif(dynofa_level STREQUAL "design")
    list(APPEND recommends "${dynofa_debian}${dynofa_version}")
  else()
    list(APPEND depends "${dynofa_debian}${dynofa_version}")
  endif()
endforeach()
list(JOIN depends ", " depends)
list(JOIN recommends ", " recommends)
set(CPACK_DEBIAN_LIBDYNOFA-DEV_PACKAGE_NAME libdynofa-dev)
set(CPACK_DEBIAN_LIBDYNOFA-DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_LIBDYNOFA-DEV_PACKAGE_DEPENDS "${depends}")
set(CPACK_DEBIAN_LIBDYNOFA-DEV_PACKAGE_RECOMMENDS "${recommends}, pkg-config")
set(CPACK_DEBIAN_LIBDYNOFA-DEV_PACKAGE_SUGGESTS "cmake, g++")
set(CPACK_COMPONENT_LIBDYNOFA-DEV_DESCRIPTION
    "Headers, what of them is compiled for devices, the CMake package and the pkg-config
files of dynofa, a C++20 library that runs sub-networks of Once-for-All networks.
What is recommended is what programs of design time need.")
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/libdynofa-dev RENAME copyright)

if(DYNOFA_TOOLS)
  find_program(DPKG_SHLIBDEPS dpkg-shlibdeps REQUIRED) # of dpkg-dev; cpack would silently depend on nothing
  list(APPEND CPACK_COMPONENTS_ALL dynofa-tools)
  set(CPACK_DEBIAN_DYNOFA-TOOLS_PACKAGE_NAME dynofa-tools)
  set(CPACK_DEBIAN_DYNOFA-TOOLS_PACKAGE_SECTION science)
  set(CPACK_DEBIAN_DYNOFA-TOOLS_PACKAGE_SHLIBDEPS ON)
  set(CPACK_DEBIAN_DYNOFA-TOOLS_PACKAGE_RECOMMENDS gnuplot-nox) # figures
  set(CPACK_COMPONENT_DYNOFA-TOOLS_DESCRIPTION
      "Converts checkpoints of Once-for-All networks, times a device, searches and builds
families of sub-networks, and runs one. A small network and a family of it are
included.")
  install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/dynofa-tools RENAME copyright COMPONENT dynofa-tools)
endif()
include(CPack)
