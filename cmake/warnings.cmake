# Flags for our own programs only: they never reach a user of the library.
# -g1 keeps line numbers for sanitizer reports at a fraction of -g's build time.
add_library(dynofa_strict INTERFACE)
target_compile_options(dynofa_strict INTERFACE -Wall -Wextra -Wpedantic -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # clang 14 warns about a deduction rule it applies to CTAD in third-party headers
  target_compile_options(dynofa_strict INTERFACE -Wno-unused-command-line-argument)
endif()
