# The README's program and the device's, by a compiler and pkg-config alone, from a prefix that was moved after it was installed.
#
#   cmake -DBUILD=dir -DWORK=dir -DCOMPILER=g++ -DFAMILY=file -P pkgconfig.cmake
cmake_minimum_required(VERSION 3.22)
include(${CMAKE_CURRENT_LIST_DIR}/support.cmake)
file(REMOVE_RECURSE ${WORK})
run("install" ${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/first)
file(RENAME ${WORK}/first ${WORK}/moved)
file(GLOB_RECURSE found ${WORK}/moved/*/dynofa.pc)
get_filename_component(folder ${found} DIRECTORY)
set(ENV{PKG_CONFIG_PATH} ${folder})

write_readme_program(${WORK}/readme.cpp)
run("compiling the README's program" sh -c "'${COMPILER}' -std=c++20 -O1 '${WORK}/readme.cpp' $(pkg-config --cflags --libs dynofa dynofa-runtime) -o '${WORK}/readme'")
run_readme_program(${WORK}/readme)

run("compiling the device's program"
    sh -c "'${COMPILER}' -std=c++20 '${source}/tests/package/device/hold.cpp' $(pkg-config --cflags --libs dynofa-runtime) -o '${WORK}/hold'")
run("running the device's program" ${WORK}/hold ${FAMILY})
expect("the device's program" "${output}" "^100 images on cpu .*: class [0-9]+")
run("asking for what the device needs" pkg-config --print-requires dynofa-runtime)
if(output MATCHES "eigen|xtensor|zip|jpeg|png|yaml|json")
  message(FATAL_ERROR "dynofa-runtime.pc requires ${output}")
endif()
