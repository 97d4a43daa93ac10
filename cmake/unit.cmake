# DYNOFA_FEW_UNITS: many sources compiled as one, so that headers are read and inline functions compiled once for all of
# them instead of in each: what is compiled is the same, in a third of the time. ./check builds like this; who edits one
# file at a time does not. Each source keeps its names to itself, in a namespace `of_<stem>`; its headers are included
# before, outside of any namespace.

# can_share_a_unit(RESULT SOURCE): not if it sets or asks for macros, or replaces or registers something for its whole
# program.
function(can_share_a_unit result source)
  file(STRINGS ${source} obstacles REGEX "^ *# *(define|if)|^void\\* operator new|^int main\\(\\)|^BENCHMARK_MAIN")
  if(DYNOFA_FEW_UNITS AND NOT obstacles)
    set(${result} TRUE PARENT_SCOPE)
  else()
    set(${result} FALSE PARENT_SCOPE)
  endif()
endfunction()

# write_unit(OUTPUT SOURCE…)   sources by absolute path
function(write_unit output)
  set(headers)
  set(bodies)
  foreach(source IN LISTS ARGN)
    file(STRINGS ${source} includes REGEX "^#include ")
    list(APPEND headers ${includes})
    get_filename_component(stem ${source} NAME_WE)
    string(APPEND bodies "namespace of_${stem} {\n#include \"${source}\"\n}\n")
  endforeach()
  list(REMOVE_DUPLICATES headers)
  list(JOIN headers "\n" headers)
  file(CONFIGURE OUTPUT ${output} CONTENT "${headers}\n${bodies}" @ONLY) # leaves the file alone if it is the same
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${ARGN})
endfunction()

# add_programs(NAME SETTINGS SOURCE…)   one executable per source, named by its stem. SETTINGS is the interface library that
# all of them use.
function(add_programs unit settings)
  set(shared)
  foreach(source IN LISTS ARGN)
    get_filename_component(stem ${source} NAME_WE)
    can_share_a_unit(shares ${source})
    if(shares)
      list(APPEND shared ${CMAKE_CURRENT_SOURCE_DIR}/${source})
      set(main ${CMAKE_CURRENT_BINARY_DIR}/${stem}.main.cpp)
      file(CONFIGURE OUTPUT ${main} CONTENT "namespace of_${stem} {\nint main(int, char**);\n}\nint main(int n, char** arguments) { return of_${stem}::main(n, arguments); }\n" @ONLY)
      add_executable(${stem} ${main})
      target_link_libraries(${stem} PRIVATE ${unit})
    else()
      add_executable(${stem} ${source})
      target_link_libraries(${stem} PRIVATE ${settings})
    endif()
  endforeach()
  if(shared)
    write_unit(${CMAKE_CURRENT_BINARY_DIR}/${unit}.cpp ${shared})
    add_library(${unit} STATIC ${CMAKE_CURRENT_BINARY_DIR}/${unit}.cpp)
    target_include_directories(${unit} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
    target_link_libraries(${unit} PUBLIC ${settings})
  endif()
endfunction()
