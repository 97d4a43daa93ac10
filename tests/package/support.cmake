# What the checks of this folder share.
set(source ${CMAKE_CURRENT_LIST_DIR}/../..)

# run(WHAT COMMAND…): its output in `output`
function(run what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE failed OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(failed)
    message(FATAL_ERROR "${what} failed:\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

# expect(WHAT TEXT REGEX)
function(expect what text regex)
  if(NOT text MATCHES "${regex}")
    message(FATAL_ERROR "${what}: expected ${regex}, got\n${text}")
  endif()
endfunction()

# write_readme_program(FILE): the first program of the README, as it stands there
function(write_readme_program file)
  file(READ ${source}/README.md readme)
  expect("the first program in README.md" "${readme}" "\n```cpp\n(#include [^`]*)\n```")
  string(REGEX MATCH "\n```cpp\n([^`]*)\n```" program "${readme}")
  file(WRITE ${file} "${CMAKE_MATCH_1}\n")
endfunction()

# run_readme_program(PROGRAM): the shipped family, and a folder of one frame
function(run_readme_program program)
  get_filename_component(folder ${program} DIRECTORY)
  file(COPY ${source}/examples/assets/espresso.jpg DESTINATION ${folder}/frames)
  set(ENV{XDG_CACHE_HOME} ${folder}/cache)
  run("the README's program" ${program} ${source}/examples/assets/tinyimagenet.dynofa ${folder}/frames)
  expect("the README's program" "${output}" "espresso[.]jpg\": espresso, [0-9]+ % [(]level [0-9]+, [0-9.]+ ms, [a-z ]+[)]")
endfunction()

# build_program(WORK SOURCE OPTION…): configures and builds tests/package/readme in two commands
function(build_program work program)
  run("configuring" ${CMAKE_COMMAND} -S ${source}/tests/package/readme -B ${work}/build -G ${GENERATOR} -DCMAKE_CXX_COMPILER=${COMPILER}
      -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS_RELEASE=-O1 -DPROGRAM=${program} ${ARGN})
  run("building" ${CMAKE_COMMAND} --build ${work}/build)
endfunction()

# build_readme_program(WORK OPTION…): builds it with the compiled parts, and runs it
function(build_readme_program work)
  write_readme_program(${work}/readme.cpp)
  build_program(${work} ${work}/readme.cpp "-DDYNOFA_ALSO=dynofa::runtime;dynofa::cpu_compiled" ${ARGN})
  run_readme_program(${work}/build/readme)
endfunction()
