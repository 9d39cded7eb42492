# The CUDA back end as a module beside the program, opened when a run asks for a GPU (src/device/registry/load_cuda.h). Its
# op table is the source that the simt device runs on the host, linked with the kernels that nvcc compiled.
if(PG_HAVE_CUDA)
  if(TARGET CUDA::cublasLt)
    file(GLOB device_cuda_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/device/cuda/*.cpp ${CMAKE_SOURCE_DIR}/src/device/cuda/gpu/*.cpp
      ${CMAKE_SOURCE_DIR}/src/device/parts/*.cpp)
    include(${CMAKE_CURRENT_LIST_DIR}/cudnn.cmake)
    add_library(device_cuda MODULE ${device_cuda_sources} src/device/cuda/cudnn/cudnn_library.cpp ${pg_nccl_sources})
    target_link_libraries(device_cuda PRIVATE pg_options pg_kernels_cuda pg_cudnn CUDA::cudart_static CUDA::cublasLt ${CMAKE_DL_LIBS})
    if(NCCL_INCLUDE_DIR)
      target_include_directories(device_cuda SYSTEM PRIVATE ${NCCL_INCLUDE_DIR})
    endif()
    # Its names are its own: the program has launchers of the same names, for the host.
    # A name that it lacks fails here and not when a user asks for a GPU.
    target_link_options(device_cuda PRIVATE -Wl,-Bsymbolic -Wl,--exclude-libs,ALL -Wl,-z,defs)
    set_target_properties(device_cuda PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}
      CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON UNITY_BUILD OFF)
  else()
    message(STATUS "CUDA devices: not compiled, the CUDA toolkit has no cublasLt")
  endif()
endif()
