# The component cuda, built by the outside project from the source that check.cmake has installed.
#
#   cmake -DOUTSIDE=dir -DWORK=dir -DCOMPILER=g++ -DGENERATOR=Ninja -DVERSION=0.1.0 -P cuda.cmake
cmake_minimum_required(VERSION 3.22)

include(${CMAKE_CURRENT_LIST_DIR}/support.cmake)
set(configure ${CMAKE_COMMAND} -S ${OUTSIDE} -G ${GENERATOR} -DCMAKE_CXX_COMPILER=${COMPILER} -DCMAKE_PREFIX_PATH=${WORK}/prefix
              -DDYNOFA_WANTED=${VERSION} -DDYNOFA_COMPONENTS=cuda -DDYNOFA_WITH_CUDA=ON)
run("configuring without an architecture" ${configure} -B ${WORK}/all -DCMAKE_EXPORT_COMPILE_COMMANDS=ON)
file(READ ${WORK}/all/compile_commands.json commands)
if(NOT commands MATCHES "compute_75.*compute_87.*compute_90")
  message(FATAL_ERROR "without an architecture the kernels are not compiled for all that nvcc knows: ${commands}")
endif()
run("configuring with component cuda" ${configure} -B ${WORK}/cuda -DCMAKE_CUDA_ARCHITECTURES=80)
run("building with component cuda" ${CMAKE_COMMAND} --build ${WORK}/cuda)
run("running with component cuda" ${WORK}/cuda/gpu)
if(NOT output MATCHES "^cuda ")
  message(FATAL_ERROR "the outside program on the GPU backend printed: ${output}")
endif()
