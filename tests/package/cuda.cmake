# The component cuda, built by the outside project from the source that check.cmake has installed.
#
#   cmake -DOUTSIDE=dir -DWORK=dir -DCOMPILER=g++ -DGENERATOR=Ninja -DVERSION=0.1.0 -P cuda.cmake
cmake_minimum_required(VERSION 3.22)

include(${CMAKE_CURRENT_LIST_DIR}/support.cmake)
run("configuring with component cuda" ${CMAKE_COMMAND} -S ${OUTSIDE} -G ${GENERATOR} -B ${WORK}/cuda -DCMAKE_CXX_COMPILER=${COMPILER}
    -DCMAKE_PREFIX_PATH=${WORK}/prefix -DDYNOFA_WANTED=${VERSION} -DDYNOFA_COMPONENTS=cuda -DDYNOFA_WITH_CUDA=ON -DCMAKE_CUDA_ARCHITECTURES=80)
run("building with component cuda" ${CMAKE_COMMAND} --build ${WORK}/cuda)
run("running with component cuda" ${WORK}/cuda/gpu)
if(NOT output MATCHES "^cuda ")
  message(FATAL_ERROR "the outside program on the GPU backend printed: ${output}")
endif()
