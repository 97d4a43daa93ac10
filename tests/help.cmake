# Each of PROGRAMS, joined by commas, prints what it is for when asked, and ends at once without complaint.
string(REPLACE "," ";" PROGRAMS "${PROGRAMS}")
foreach(program IN LISTS PROGRAMS)
  get_filename_component(name ${program} NAME)
  execute_process(COMMAND ${program} --help RESULT_VARIABLE status OUTPUT_VARIABLE said ERROR_VARIABLE complaint TIMEOUT 20)
  # Google Benchmark's own options do not say the program's name.
  if(NOT status EQUAL 0 OR NOT complaint STREQUAL "" OR NOT said MATCHES "${name}|benchmark_list_tests")
    message(SEND_ERROR "${name} --help: ${status}, \"${said}\", \"${complaint}\"")
  endif()
endforeach()
list(LENGTH PROGRAMS count)
message(STATUS "${count} programs asked")
