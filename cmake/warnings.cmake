# Flags for our own programs only: they never reach a user of the library.
add_library(dynofa_strict INTERFACE)
target_compile_options(dynofa_strict INTERFACE -Wall -Wextra -Wpedantic $<$<BOOL:${DYNOFA_WARNINGS_AS_ERRORS}>:-Werror>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # clang 19 reports what libstdc++ 12's own stable_sort calls
  target_compile_options(dynofa_strict INTERFACE -Wno-unused-command-line-argument $<$<VERSION_GREATER:${CMAKE_CXX_COMPILER_VERSION},15>:-Wno-deprecated-declarations>)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
  target_compile_options(dynofa_strict INTERFACE -Wno-psabi) # a note that g++ 10 changed how it passes std::pair<double, double>
endif()
