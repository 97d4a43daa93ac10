# dynofa::cuda   the GPU kernels: one translation unit, compiled here by nvcc. Its public headers need no CUDA.
# Used by this tree and, installed, by find_package(dynofa COMPONENTS cuda); the project that uses it has enabled CUDA.
add_library(dynofa_cuda STATIC ${dynofa_cuda_folder}/cuda.cu)
add_library(dynofa::cuda ALIAS dynofa_cuda)
set_target_properties(dynofa_cuda PROPERTIES POSITION_INDEPENDENT_CODE ON
                      CUDA_STANDARD 17 CUDA_STANDARD_REQUIRED ON) # CUDA 11, of older boards, has no later one
target_include_directories(dynofa_cuda PUBLIC ${dynofa_cuda_includes})
# nvcc reads what of core/ and of the backend the kernels need; who links the library gets the other headers too
target_link_libraries(dynofa_cuda INTERFACE dynofa::headers)
# The sizes that host and device both compute are constexpr functions. One thread per processor assembles the targets:
# eight take four minutes on one.
target_compile_options(dynofa_cuda PRIVATE "$<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr;--threads=0>")

# For which GPUs: what DYNOFA_CUDA_ARCHITECTURES says, else what the project says by CMAKE_CUDA_ARCHITECTURES, else of
# these all that its nvcc knows. 72 is Jetson Xavier, which CUDA 11.8 to 12.x compile for, 87 is Jetson Orin.
set(dynofa_cuda_architectures ${DYNOFA_CUDA_ARCHITECTURES})
get_property(dynofa_cuda_help CACHE CMAKE_CUDA_ARCHITECTURES PROPERTY HELPSTRING)
if(NOT dynofa_cuda_architectures AND (NOT dynofa_cuda_help STREQUAL "CUDA architectures" OR NOT "$ENV{CUDAARCHS}" STREQUAL ""))
  set(dynofa_cuda_architectures ${CMAKE_CUDA_ARCHITECTURES}) # else CMake took what nvcc takes by itself
endif()
if(NOT dynofa_cuda_architectures)
  execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --list-gpu-arch OUTPUT_VARIABLE dynofa_cuda_known)
  foreach(dynofa_cuda_architecture 72 75 80 86 87 89 90 100 120)
    if(dynofa_cuda_known MATCHES "compute_${dynofa_cuda_architecture}\n")
      list(APPEND dynofa_cuda_architectures ${dynofa_cuda_architecture})
    endif()
  endforeach()
endif()
set_target_properties(dynofa_cuda PROPERTIES CUDA_ARCHITECTURES "${dynofa_cuda_architectures}")
