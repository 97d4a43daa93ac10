# What a library shows others is what a list says, no more and no less.
#
#   cmake -DNM=nm -DREADELF=readelf -DLIBRARY=libdynofa.so -DLIST=symbols.txt -P symbols.cmake
cmake_minimum_required(VERSION 3.22)
execute_process(COMMAND ${NM} --dynamic --defined-only --with-symbol-versions ${LIBRARY} OUTPUT_VARIABLE shown COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL " [a-zA-Z] [^\n]+" shown "${shown}")
list(TRANSFORM shown REPLACE "^ . " "")
list(FILTER shown EXCLUDE REGEX "^DYNOFA_[0-9]+(@@DYNOFA_[0-9]+)?$") # the nodes of dynofa.map themselves
list(SORT shown)
file(STRINGS ${LIST} expected)
if(NOT shown STREQUAL expected)
  message(FATAL_ERROR "${LIBRARY}: expected to show ${expected}, got ${shown}")
endif()
execute_process(COMMAND ${READELF} --dynamic ${LIBRARY} OUTPUT_VARIABLE dynamic COMMAND_ERROR_IS_FATAL ANY)
if(NOT dynamic MATCHES "SONAME[^\n]*\\[libdynofa.so.0\\]")
  message(FATAL_ERROR "${LIBRARY}: expected the name libdynofa.so.0, got ${dynamic}")
endif()
