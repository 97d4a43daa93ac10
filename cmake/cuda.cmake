# dynofa::cuda   the GPU kernels: one translation unit, compiled here by nvcc. Its public headers need no CUDA.
# Used by this tree and, installed, by find_package(dynofa COMPONENTS cuda); the project that uses it has enabled CUDA.
add_library(dynofa_cuda STATIC ${dynofa_cuda_folder}/cuda.cu)
add_library(dynofa::cuda ALIAS dynofa_cuda)
set_target_properties(dynofa_cuda PROPERTIES POSITION_INDEPENDENT_CODE ON)
target_include_directories(dynofa_cuda PUBLIC ${dynofa_cuda_includes})
# nvcc reads core/ and the block list only; who links the library gets the other headers too
target_link_libraries(dynofa_cuda INTERFACE dynofa::headers)
# CMake 3.25 has no CUDA_STANDARD 20 yet. The sizes that host and device both compute are constexpr functions.
# One thread per processor assembles the targets: six take four minutes on one.
target_compile_options(dynofa_cuda PRIVATE "$<$<COMPILE_LANGUAGE:CUDA>:-std=c++20;--expt-relaxed-constexpr;--threads=0>")
