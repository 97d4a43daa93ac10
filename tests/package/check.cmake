# install → configure → build → run, and a version that this one does not satisfy.
#
#   cmake -DBUILD=dir -DOUTSIDE=dir -DDEVICE=dir -DFAMILY=file -DWORK=dir -DCOMPILER=g++ -DGENERATOR=Ninja -DVERSION=0.1.0 -DCUDA=0 -P check.cmake
cmake_minimum_required(VERSION 3.22)

include(${CMAKE_CURRENT_LIST_DIR}/support.cmake)
file(REMOVE_RECURSE ${WORK})
run("install" ${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/prefix)
set(configure ${CMAKE_COMMAND} -S ${OUTSIDE} -G ${GENERATOR} -DCMAKE_CXX_COMPILER=${COMPILER}
              -DCMAKE_PREFIX_PATH=${WORK}/prefix)

run("configuring the outside project" ${configure} -B ${WORK}/build -DDYNOFA_WANTED=${VERSION})
file(STRINGS ${WORK}/build/CMakeCache.txt found REGEX "^dynofa_DIR:")
if(NOT found MATCHES "${WORK}/prefix")
  message(FATAL_ERROR "the outside project found another dynofa: ${found}")
endif()
run("building the outside project" ${CMAKE_COMMAND} --build ${WORK}/build)
run("running the outside program" ${WORK}/build/outside)
message(STATUS "${output}")
if(NOT output MATCHES "^dynofa ${VERSION}, 10[0-9]+ MACs")
  message(FATAL_ERROR "the outside program printed: ${output}")
endif()

foreach(wanted 99.0 0.0.1)
  execute_process(COMMAND ${configure} -B ${WORK}/refused -DDYNOFA_WANTED=${wanted} RESULT_VARIABLE failed
                  OUTPUT_QUIET ERROR_VARIABLE messages)
  if(NOT failed)
    message(FATAL_ERROR "version ${wanted} was accepted")
  endif()
  string(REGEX REPLACE "[ \n]+" " " messages "${messages}")
  if(NOT messages MATCHES "compatible with requested version \"${wanted}\"" OR NOT messages MATCHES "version: ${VERSION}")
    message(FATAL_ERROR "the message for version ${wanted} does not name both versions:\n${messages}")
  endif()
endforeach()

# What a device ships. Libraries of design time are neither looked for nor linked; the kernels are optimised in a Debug
# build as well, as they came with the package.
set(device ${CMAKE_COMMAND} -S ${DEVICE} -G ${GENERATOR} -DCMAKE_CXX_COMPILER=${COMPILER} -DCMAKE_PREFIX_PATH=${WORK}/prefix
           -DDYNOFA_WANTED=${VERSION})
foreach(package Eigen3 xtl xtensor nlohmann_json yaml-cpp JPEG PNG)
  list(APPEND device -DCMAKE_DISABLE_FIND_PACKAGE_${package}=ON) # looking for it would fail
endforeach()
foreach(type Debug Release)
  run("configuring the device's project" ${device} -B ${WORK}/device/${type} -DCMAKE_BUILD_TYPE=${type})
  run("building the device's project" ${CMAKE_COMMAND} --build ${WORK}/device/${type} --verbose)
  if(output MATCHES "(lib|-l)(zip|jpeg|png|yaml-cpp)" OR NOT output MATCHES "libdynofa_runtime\\.a")
    message(FATAL_ERROR "the device's program, ${type}, is linked by\n${output}")
  endif()
  run("running the device's program" ${WORK}/device/${type}/hold ${FAMILY})
  message(STATUS "${type}: ${output}")
  if(NOT output MATCHES "^100 images on cpu .* on level [0-9]+ of [0-9]+: class [0-9]+")
    message(FATAL_ERROR "the device's program, ${type}, printed: ${output}")
  endif()
endforeach()

# The component cuda: refused with a sentence in a project without the language, else built from the installed source.
execute_process(COMMAND ${configure} -B ${WORK}/refused -DDYNOFA_WANTED=${VERSION} -DDYNOFA_COMPONENTS=cuda RESULT_VARIABLE failed
                OUTPUT_QUIET ERROR_VARIABLE messages)
string(REGEX REPLACE "[ \n]+" " " messages "${messages}")
if(NOT failed OR NOT messages MATCHES "needs a project with LANGUAGES CXX CUDA")
  message(FATAL_ERROR "component cuda without the language CUDA: ${messages}")
endif()
if(CUDA)
  run("configuring with component cuda" ${configure} -B ${WORK}/build -DDYNOFA_WANTED=${VERSION} -DDYNOFA_COMPONENTS=cuda -DDYNOFA_WITH_CUDA=ON
      -DCMAKE_CUDA_ARCHITECTURES=80)
  run("configuring without an architecture" ${configure} -B ${WORK}/all -DDYNOFA_WANTED=${VERSION} -DDYNOFA_COMPONENTS=cuda -DDYNOFA_WITH_CUDA=ON
      -DCMAKE_EXPORT_COMPILE_COMMANDS=ON)
  file(READ ${WORK}/all/compile_commands.json commands)
  if(NOT commands MATCHES "compute_75.*compute_87.*compute_90")
    message(FATAL_ERROR "without an architecture the kernels are not compiled for all that nvcc knows: ${commands}")
  endif()
  run("building with component cuda" ${CMAKE_COMMAND} --build ${WORK}/build)
  run("running with component cuda" ${WORK}/build/gpu)
  if(NOT output MATCHES "^cuda ")
    message(FATAL_ERROR "the outside program on the GPU backend printed: ${output}")
  endif()
endif()
