# What find_package(dynofa) with components finds, looks for and says; then the README's program by two of them.
#
#   cmake -DBUILD=dir -DWORK=dir -DCOMPILER=g++ -DGENERATOR=Ninja -P components.cmake
cmake_minimum_required(VERSION 3.22)
include(${CMAKE_CURRENT_LIST_DIR}/support.cmake)
file(REMOVE_RECURSE ${WORK})
run("install" ${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/prefix)
run("asking for components" ${CMAKE_COMMAND} -S ${source}/tests/package/components -B ${WORK}/asked -G ${GENERATOR}
    -DCMAKE_CXX_COMPILER=${COMPILER} -DCMAKE_PREFIX_PATH=${WORK}/prefix)
expect("what was asked" "${output}" "asked [1-9][0-9]* times")
build_readme_program(${WORK} -DCMAKE_PREFIX_PATH=${WORK}/prefix "-DDYNOFA_COMPONENTS=dynofa;runtime;cpu_compiled")
