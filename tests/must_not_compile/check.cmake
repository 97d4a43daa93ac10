# Compiles one case twice: the good branch must pass; the bad branch (DYNOFA_BAD) must fail, and its messages must match
# every regular expression of the leading `// expect: …` lines. Only the compiler's front end runs, and only when a file
# of the case has changed since it last passed.
#
#   cmake -DCASE=file.cpp -DCOMPILER=g++ -DINCLUDES="dir;dir" -DSTAMP=file -P check.cmake
cmake_minimum_required(VERSION 3.22)
include(${CMAKE_CURRENT_LIST_DIR}/../support/unchanged.cmake)

unchanged(done ${STAMP} ${STAMP}.d)
if(done AND ${STAMP} IS_NEWER_THAN ${CMAKE_CURRENT_LIST_FILE})
  message(STATUS "nothing changed since it last passed")
  return()
endif()
file(STRINGS ${CASE} expectations REGEX "^// expect: ")
if(NOT expectations)
  message(FATAL_ERROR "${CASE} has no line `// expect: …`")
endif()
# en_US/C quoting differs between machines; C is everywhere
set(ENV{LC_ALL} C)
file(TOUCH ${STAMP}.begun) # what changes from here on counts as changed
set(command ${COMPILER} -std=c++20 -fsyntax-only -fno-diagnostics-color)
foreach(folder IN LISTS INCLUDES)
  list(APPEND command -isystem ${folder})
endforeach()

execute_process(COMMAND ${command} -MD -MF ${STAMP}.d ${CASE} RESULT_VARIABLE failed ERROR_VARIABLE messages OUTPUT_QUIET)
if(failed)
  message(FATAL_ERROR "the good branch does not compile:\n${messages}")
endif()
execute_process(COMMAND ${command} -DDYNOFA_BAD ${CASE} RESULT_VARIABLE failed ERROR_VARIABLE messages OUTPUT_QUIET)
if(NOT failed)
  message(FATAL_ERROR "the bad branch compiles")
endif()
# one line at a time, since `.` of CMake's regular expressions crosses line ends; `;` and brackets would confuse lists
string(REGEX REPLACE "[][;]" " " lines "${messages}")
string(REGEX REPLACE "\n+" ";" lines "${lines}")
foreach(line IN LISTS expectations)
  string(REPLACE "// expect: " "" expected "${line}")
  set(matching ${lines})
  list(FILTER matching INCLUDE REGEX "${expected}")
  if(NOT matching)
    message(FATAL_ERROR "no line of the message matches\n  ${expected}\nin\n${messages}")
  endif()
  list(GET matching 0 first)
  message(STATUS "${first}")
endforeach()
file(RENAME ${STAMP}.begun ${STAMP})
