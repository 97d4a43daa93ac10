#pragma once
/// The version of the library, read by CMake from this file: there is no second place to change.
#define DYNOFA_VERSION_MAJOR 0
#define DYNOFA_VERSION_MINOR 1
#define DYNOFA_VERSION_PATCH 0

#define DYNOFA_STRINGIFY_(x) #x
#define DYNOFA_STRINGIFY(x) DYNOFA_STRINGIFY_(x)
#define DYNOFA_VERSION                                                                                                 \
  DYNOFA_STRINGIFY(DYNOFA_VERSION_MAJOR)                                                                               \
  "." DYNOFA_STRINGIFY(DYNOFA_VERSION_MINOR) "." DYNOFA_STRINGIFY(DYNOFA_VERSION_PATCH)
