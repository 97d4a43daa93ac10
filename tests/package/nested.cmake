# Builds and installs a project that adds this tree as a sub-directory; only the project's own program may be installed.
#
#   cmake -DSOURCE=dir -DNESTED=dir -DWORK=dir -DCOMPILER=g++ -DGENERATOR=Ninja -DVERSION=0.1.0 -P nested.cmake
cmake_minimum_required(VERSION 3.22)
file(REMOVE_RECURSE ${WORK})
foreach(step "-S;${NESTED};-B;${WORK}/build;-G;${GENERATOR};-DCMAKE_CXX_COMPILER=${COMPILER};-DDYNOFA_SOURCE=${SOURCE}"
             "--build;${WORK}/build" "--install;${WORK}/build;--prefix;${WORK}/prefix")
  execute_process(COMMAND ${CMAKE_COMMAND} ${step} RESULT_VARIABLE failed OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(failed)
    message(FATAL_ERROR "cmake ${step} failed:\n${output}")
  endif()
endforeach()
file(GLOB_RECURSE installed LIST_DIRECTORIES FALSE RELATIVE ${WORK}/prefix ${WORK}/prefix/*)
if(NOT installed STREQUAL "bin/nested")
  message(FATAL_ERROR "a project that contains dynofa installs: ${installed}")
endif()
execute_process(COMMAND ${WORK}/prefix/bin/nested OUTPUT_VARIABLE output)
if(NOT output MATCHES "^${VERSION}")
  message(FATAL_ERROR "the nested program printed: ${output}")
endif()
