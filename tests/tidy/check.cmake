# cmake -DHEADERS="dynofa/core/error.hpp;…" -DTIDY=clang-tidy-14 -DCOMPILER=g++ -DROOT=dir -DSYSTEM_INCLUDES=dir
#       -DSTAMP=file -P check.cmake
cmake_minimum_required(VERSION 3.22)
include(${CMAKE_CURRENT_LIST_DIR}/../support/unchanged.cmake)

list(TRANSFORM HEADERS REPLACE "(.+)" "#include \"\\1\"" OUTPUT_VARIABLE unit)
list(JOIN unit "\n" unit)
file(CONFIGURE OUTPUT ${STAMP}.cpp CONTENT "${unit}\n") # leaves the file alone if it is the same
unchanged(done ${STAMP} ${STAMP}.d)
if(done AND ${STAMP} IS_NEWER_THAN ${ROOT}/.clang-tidy AND ${STAMP} IS_NEWER_THAN ${CMAKE_CURRENT_LIST_FILE})
  message(STATUS "nothing changed since it last passed")
  return()
endif()
file(TOUCH ${STAMP}.begun) # what changes from here on counts as changed
set(flags -std=c++20 -I${ROOT}/include)
foreach(folder IN LISTS SYSTEM_INCLUDES)
  list(APPEND flags -isystem ${folder})
endforeach()
execute_process(COMMAND ${TIDY} --quiet --config-file=${ROOT}/.clang-tidy ${STAMP}.cpp -- ${flags}
                RESULT_VARIABLE failed OUTPUT_VARIABLE findings ERROR_VARIABLE summary)
if(failed)
  message(FATAL_ERROR "${findings}")
endif()
execute_process(COMMAND ${COMPILER} ${flags} -MM -MF ${STAMP}.d ${STAMP}.cpp COMMAND_ERROR_IS_FATAL ANY)
file(RENAME ${STAMP}.begun ${STAMP})
