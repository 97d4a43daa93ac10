# All figures of the paper in their shortest form: cmake -DPROGRAM=paper_figures -DPAGE=the-paper.md -DOUT=folder -P paper_test.cmake
file(REMOVE_RECURSE ${OUT})
file(MAKE_DIRECTORY ${OUT})
find_program(gnuplot gnuplot)

# Found before anything is measured: a page without a mark, a folder that cannot be.
file(READ ${PAGE} page)
string(REPLACE "<!-- figure 4: end -->" "" unmarked "${page}")
file(WRITE ${OUT}/unmarked.md "${unmarked}")
file(WRITE ${OUT}/page.md "${page}")
foreach(case "${OUT}/unmarked.md|${OUT}|once each <!-- figure 4: begin --> and <!-- figure 4: end -->" "${OUT}/page.md|${OUT}/page.md/below|a folder")
  string(REPLACE "|" ";" case "${case}")
  list(GET case 0 file)
  list(GET case 1 folder)
  list(GET case 2 wanted)
  execute_process(COMMAND ${PROGRAM} --quick --page ${file} --out ${folder} RESULT_VARIABLE status ERROR_VARIABLE said TIMEOUT 10)
  if(NOT status EQUAL 1 OR NOT said MATCHES "expected ${wanted}")
    message(FATAL_ERROR "expected a refusal with \"${wanted}\", got ${status}: ${said}")
  endif()
endforeach()

execute_process(COMMAND ${PROGRAM} --quick --page ${OUT}/page.md --out ${OUT} RESULT_VARIABLE status ERROR_VARIABLE said OUTPUT_VARIABLE said)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "paper_figures --quick: ${status}, ${said}")
endif()

# Every figure has its table, with these columns and at least so many rows, and its picture.
set(trace network,seconds,level,top1,latency_ms,limit_ms,reason)
foreach(expected
        "figure_1b|case,what,images,median_ms,p95_ms,limit_ms,late_percent|2"
        "figure_3_cpu|set,latency_ms,top1,on_front,arch|50"
        "figure_4b|system,network,resolution,top1_published,mmacs,median_ms,p95_ms,images|57"
        "figure_5|system,network,mmacs,mmacs_published,top1_published|57"
        "figure_6_cpu|${trace}|15" "figure_7_cpu_reactive|${trace}|15" "figure_7_cpu_forecast|${trace}|15" "figure_8_cpu|${trace}|10"
        "figure_4b_ratios|beside,times_as_quick,points_more|6" "figure_5_ratios|beside,saved_percent,points_more|6"
        "table_1_cpu|way,the_paper_reports,switches,ready_ms_median,ready_ms_mean,first_image_ms_median,steady_image_ms_median|6")
  string(REPLACE "|" ";" expected "${expected}")
  list(GET expected 0 stem)
  list(GET expected 1 columns)
  list(GET expected 2 least)
  file(STRINGS ${OUT}/${stem}.csv rows)
  list(LENGTH rows count)
  list(GET rows 0 header)
  if(NOT header STREQUAL columns OR NOT count GREATER least)
    message(FATAL_ERROR "${stem}.csv: expected ${columns} and at least ${least} rows, got ${header} and ${count} lines")
  endif()
  if(NOT gnuplot OR stem MATCHES "ratios|table")
    continue()
  endif()
  file(READ ${OUT}/${stem}.svg picture LIMIT 2000)
  if(NOT picture MATCHES "<svg" OR EXISTS ${OUT}/${stem}.gp)
    message(FATAL_ERROR "${stem}.svg is no picture, or what drew it was left behind")
  endif()
endforeach()

# The page says that this was too short to quote, and links what was written; what people wrote in it stays.
file(READ ${OUT}/page.md rewritten)
foreach(part "not to be quoted" "\\(figure_1b.svg\\)" "\\(figure_5.csv\\)" "the paper, on its CPU, beside AutoSlim-MnasNet" "all levels stay bound \\| [0-9.]+ µs")
  if(NOT rewritten MATCHES "${part}")
    message(FATAL_ERROR "the page lacks ${part}")
  endif()
endforeach()
foreach(name page rewritten)
  string(REGEX REPLACE "<!-- ([a-z0-9 ]+): begin -->[^<]*<!-- [a-z0-9 ]+: end -->" "\\1" ${name} "${${name}}")
endforeach()
if(NOT page STREQUAL rewritten)
  message(FATAL_ERROR "the page changed outside its marks")
endif()
