# FetchContent from a repository of the last commit alone: a shallow clone of the tree under test. Only what is committed is tested.
#
#   cmake -DWORK=dir -DCOMPILER=g++ -DGENERATOR=Ninja [-DCOMPILED=ON] -P fetchcontent.cmake
cmake_minimum_required(VERSION 3.22)
include(${CMAKE_CURRENT_LIST_DIR}/support.cmake)
file(REMOVE_RECURSE ${WORK})
get_filename_component(source ${source} ABSOLUTE)
run("cloning" git clone --quiet --bare --depth 1 file://${source} ${WORK}/repository)
run("naming the commit" git -C ${WORK}/repository branch --force tested HEAD)
set(repository -DDYNOFA_REPOSITORY=file://${WORK}/repository)
if(COMPILED)
  build_readme_program(${WORK} ${repository})
else()
  build_program(${WORK} ${source}/examples/01_hello.cpp ${repository})
  run("lesson 1" ${WORK}/build/readme)
  file(STRINGS ${source}/examples/01_hello.cpp expected REGEX "^// expect: ")
  string(REPLACE "// expect: " "" expected "${expected}")
  expect("lesson 1" "${output}" "${expected}")
endif()
file(GLOB_RECURSE archives ${WORK}/build/*.a)
if(archives AND NOT COMPILED)
  message(FATAL_ERROR "a program that links headers alone compiled ${archives}")
endif()
file(REMOVE_RECURSE ${WORK}) # two copies of the assets
