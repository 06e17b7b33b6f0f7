# The CUDA backend: the target sfumato::cuda, for CUDA and C++ files alike, and
#   sfumato_add_cuda_kernels(<name>): a static library of all its kernels, which C++ files are linked with.
# Include it where CUDA may be enabled: in no function.
include_guard()
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES AND NOT DEFINED ENV{CUDAARCHS})
  set(CMAKE_CUDA_ARCHITECTURES 80-real 86-real 89-real 90)  # and PTX of the last, for devices to come
endif()
if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
  find_program(CMAKE_CUDA_COMPILER nvcc HINTS ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin)
endif()
enable_language(CUDA)
find_package(CUDAToolkit REQUIRED)

set(sfumato_cuda_kernels_source "${CMAKE_CURRENT_LIST_DIR}/cuda_kernels.cu")
function(sfumato_add_cuda_kernels name)
  add_library(${name} STATIC "${sfumato_cuda_kernels_source}")
  target_link_libraries(${name} PUBLIC sfumato::cuda)
endfunction()
