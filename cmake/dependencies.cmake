# Every dependency is a Debian package (cmake/debian-packages.txt), as old as Ubuntu 22.04 has it; nothing is downloaded.
# An installed dynofa includes this file too, so that its user gets the same targets; with dynofa_runtime_only those that
# a device needs.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
find_dependency(Boost 1.74 CONFIG)    # headers only: Hana, Circular Buffer
find_dependency(PkgConfig)
pkg_check_modules(dynofa_xxhash REQUIRED IMPORTED_TARGET GLOBAL libxxhash) # checksums
if(NOT dynofa_runtime_only)
  find_dependency(Eigen3 3.4 NO_MODULE) # predictor, least squares
  find_dependency(xtl)
  find_dependency(xtensor 0.23)         # host tensors
  find_dependency(nlohmann_json 3.10)   # architectures, tables, reports
  find_dependency(yaml-cpp)             # latency tables in YAML
  find_dependency(JPEG)
  find_dependency(PNG)
  pkg_check_modules(dynofa_libzip REQUIRED IMPORTED_TARGET GLOBAL libzip) # zip .pth files
endif()
