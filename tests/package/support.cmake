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

# write_readme_program(FILE): the program of the README's "In twenty lines", with an image and its answer
function(write_readme_program file)
  file(READ ${source}/README.md readme)
  expect("the first program in README.md" "${readme}" "\n```cpp\n(#include [^`]*)\n```")
  string(REGEX MATCH "\n```cpp\n([^`]*)\n```" program "${readme}")
  set(program "${CMAKE_MATCH_1}")
  string(REGEX MATCH "^(#include [^\n]*\n)+" includes "${program}")
  string(REPLACE "${includes}" "" body "${program}")
  file(WRITE ${file} "${includes}
#include <iostream>

int main() {
  const std::vector<float> image(160 * 160 * 3, 0.5f);
${body}
  std::cout << \"class \" << dynofa::argmax(logits) << \" of \" << logits.size() << '\\n';
}
")
endfunction()

# run_readme_program(PROGRAM): lesson 1 is the same program
function(run_readme_program program)
  file(STRINGS ${source}/examples/01_hello.cpp expected REGEX "^// expect: ")
  run("the README's program" ${program})
  string(STRIP "${output}" answer)
  expect("what lesson 1 answers and the README's program does" "${expected}" "// expect: ${answer} from")
endfunction()

# build_readme_program(WORK OPTION…): configures and builds tests/package/readme, and runs it
function(build_readme_program work)
  write_readme_program(${work}/readme.cpp)
  run("configuring" ${CMAKE_COMMAND} -S ${source}/tests/package/readme -B ${work}/build -G ${GENERATOR} -DCMAKE_CXX_COMPILER=${COMPILER}
      -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS_RELEASE=-O1 -DPROGRAM=${work}/readme.cpp ${ARGN})
  run("building" ${CMAKE_COMMAND} --build ${work}/build)
  run_readme_program(${work}/build/readme)
endfunction()
