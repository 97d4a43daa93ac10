# Every dependency is a Debian package, as old as Ubuntu 22.04 has it; nothing is downloaded. An installed dynofa includes
# this file too, so that its user gets the same targets.
#
# The one list of libraries: the searches below, what the .deb depends on and what the .pc files require are made from it, the
# Conan recipe reads it, and tests/package/names.cmake holds cmake/debian-packages.txt and the vcpkg port against it.
#
# A level needs its own rows and those of the levels before it.
set(dynofa_levels headers runtime design)
# level   | find_package's arguments, or pkg-config and a module | pkg-config | Debian | vcpkg | Conan, and a version it must be below
set(dynofa_dependencies
  "headers | Threads                | -             | -                   | -                                | -"
  "headers | Boost 1.74 CONFIG      | -             | libboost-dev        | boost-circular-buffer boost-hana | boost <2" # headers only
  "runtime | pkg-config libxxhash   | libxxhash     | libxxhash-dev       | xxhash                           | xxhash" # checksums
  "design  | Eigen3 3.4 NO_MODULE   | eigen3        | libeigen3-dev       | eigen3                           | eigen <4" # predictor, least squares
  "design  | xtl                    | xtl           | -                   | xtl                              | xtl" # Debian's xtensor brings it
  "design  | xtensor 0.23           | xtensor       | libxtensor-dev      | xtensor                          | xtensor <0.26" # host tensors
  "design  | nlohmann_json 3.10     | nlohmann_json | nlohmann-json3-dev  | nlohmann-json                    | nlohmann_json <4" # architectures, tables, reports
  "design  | yaml-cpp               | yaml-cpp      | libyaml-cpp-dev     | yaml-cpp                         | yaml-cpp" # latency tables in YAML
  "design  | JPEG                   | libjpeg       | libjpeg-dev         | libjpeg-turbo                    | libjpeg-turbo"
  "design  | PNG                    | libpng        | libpng-dev          | libpng                           | libpng"
  "design  | pkg-config libzip      | libzip        | libzip-dev          | libzip                           | libzip") # zip .pth files

# dynofa_read_dependency(ROW): dynofa_level, dynofa_find (a list), dynofa_version, dynofa_module, dynofa_debian, dynofa_vcpkg (a list); "" for "-"
macro(dynofa_read_dependency row)
  string(REGEX REPLACE " *[|] *" ";" dynofa_cells "${row}")
  list(TRANSFORM dynofa_cells REPLACE "^-$" "")
  list(GET dynofa_cells 0 dynofa_level)
  list(GET dynofa_cells 1 dynofa_find)
  list(GET dynofa_cells 2 dynofa_module)
  list(GET dynofa_cells 3 dynofa_debian)
  list(GET dynofa_cells 4 dynofa_vcpkg)
  string(REGEX MATCH " [0-9.]+" dynofa_version "${dynofa_find}")
  string(STRIP "${dynofa_version}" dynofa_version)
  separate_arguments(dynofa_find)
  separate_arguments(dynofa_vcpkg)
endmacro()

# dynofa_find_dependencies(LEVEL…): dynofa_missing is "" or says what is not there. A macro: packages set variables.
macro(dynofa_find_dependencies)
  set(dynofa_levels_wanted ${ARGN})
  set(dynofa_missing "")
  foreach(dynofa_row IN LISTS dynofa_dependencies)
    dynofa_read_dependency("${dynofa_row}")
    list(GET dynofa_find 0 dynofa_package)
    if(NOT "${dynofa_level}" IN_LIST dynofa_levels_wanted)
      continue()
    elseif(dynofa_package STREQUAL "pkg-config")
      set(dynofa_package dynofa_${dynofa_module})
      string(APPEND dynofa_debian " pkg-config")
      set(${dynofa_package}_FOUND FALSE)
      find_package(PkgConfig QUIET)
      if(PkgConfig_FOUND)
        unset(${dynofa_package}_FOUND) # in front of what is kept in the cache
        pkg_check_modules(${dynofa_package} QUIET IMPORTED_TARGET GLOBAL ${dynofa_module})
      endif()
    else()
      find_package(${dynofa_find} QUIET)
    endif()
    if(NOT ${dynofa_package}_FOUND)
      list(REMOVE_ITEM dynofa_find CONFIG NO_MODULE)
      list(JOIN dynofa_find " " dynofa_missing)
      string(REGEX REPLACE "^(.+)$" " (Debian: \\1)" dynofa_debian "${dynofa_debian}")
      set(dynofa_missing "dynofa needs ${dynofa_missing}${dynofa_debian}, which was not found")
      break()
    endif()
  endforeach()
endmacro()
