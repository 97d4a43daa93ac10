# One public header must compile as a program's only include, twice over, without a warning; again only when it or
# something it includes has changed.
#
#   cmake -DHEADER=dynofa/core/error.hpp -DCOMPILER=g++ -DINCLUDES="dir;dir" -DSYSTEM_INCLUDES="dir" -DSTAMP=file -P check.cmake
cmake_minimum_required(VERSION 3.22)
include(${CMAKE_CURRENT_LIST_DIR}/../support/unchanged.cmake)

unchanged(done ${STAMP} ${STAMP}.d)
if(done AND ${STAMP} IS_NEWER_THAN ${CMAKE_CURRENT_LIST_FILE})
  message(STATUS "nothing changed since it last passed")
  return()
endif()
file(WRITE ${STAMP}.cpp "#include \"${HEADER}\"\n#include \"${HEADER}\"\n")
file(TOUCH ${STAMP}.begun) # what changes from here on counts as changed
set(command ${COMPILER} -std=c++20 -fsyntax-only -Wall -Wextra -Wpedantic -Werror)
foreach(folder IN LISTS INCLUDES)
  list(APPEND command -I${folder})
endforeach()
foreach(folder IN LISTS SYSTEM_INCLUDES)
  list(APPEND command -isystem ${folder})
endforeach()
execute_process(COMMAND ${command} -MD -MF ${STAMP}.d ${STAMP}.cpp RESULT_VARIABLE failed ERROR_VARIABLE messages)
if(failed)
  message(FATAL_ERROR "${HEADER} does not compile alone:\n${messages}")
endif()
file(RENAME ${STAMP}.begun ${STAMP})
