# One kernel source, two compilers. Every kernels/*.cu is compiled for the host, to run on the fiber executor
# (pg_kernels_simt), and, where there is nvcc, for GPUs as well (pg_kernels_cuda).
file(GLOB pg_kernel_sources RELATIVE ${CMAKE_SOURCE_DIR} CONFIGURE_DEPENDS kernels/*.cu)

# ---- the host ----------------------------------------------------------------------------------
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64" AND NOT PG_SIMT_UCONTEXT)
  set(pg_simt_switch kernels/simt/simt_switch_x86_64.cpp)
else()
  set(pg_simt_switch kernels/simt/simt_switch_ucontext.cpp)
endif()

# What kernel code is compiled with for the host: as nvcc does, no type-based alias analysis; and no guards around
# function-local statics, which are shared memory there.
set(pg_host_kernel_options -fno-strict-aliasing -fno-threadsafe-statics)

# pg_add_host_kernels(target source...): compiles .cu files into a target through wrappers of one line each.
function(pg_add_host_kernels target)
  foreach(source ${ARGN})
    cmake_path(GET source STEM name)
    set(wrapper ${CMAKE_BINARY_DIR}/simt/${name}.simt.cpp)
    file(CONFIGURE OUTPUT ${wrapper} CONTENT "#include \"${source}\"\n")
    target_sources(${target} PRIVATE ${wrapper})
    set_source_files_properties(${wrapper} PROPERTIES COMPILE_OPTIONS "${pg_host_kernel_options}")
  endforeach()
endfunction()

set(pg_simt_sources kernels/simt/simt_executor.cpp kernels/simt/simt_scheduler.cpp
  kernels/simt/simt_races.cpp ${pg_simt_switch})
add_library(pg_kernels_simt STATIC ${pg_simt_sources})
pg_add_host_kernels(pg_kernels_simt ${pg_kernel_sources})
target_link_libraries(pg_kernels_simt PUBLIC pg_options)

# ---- GPUs --------------------------------------------------------------------------------------
set(PG_HAVE_CUDA OFF)
if(NOT PG_CUDA STREQUAL "OFF")
  include(CheckLanguage)
  check_language(CUDA)
  set(pg_oldest_nvcc 12.0)  # the first that speaks C++20 and knows sm_90
  set(no_nvcc "no nvcc was found")
  if(CMAKE_CUDA_COMPILER)
    execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --version OUTPUT_VARIABLE said ERROR_QUIET)
    if(said MATCHES "release ([0-9.]+)" AND CMAKE_MATCH_1 VERSION_LESS pg_oldest_nvcc)
      set(no_nvcc "nvcc ${CMAKE_MATCH_1} is too old, ${pg_oldest_nvcc} is the least")
    else()
      set(PG_HAVE_CUDA ON)
    endif()
  endif()
  if(PG_HAVE_CUDA)
  elseif(PG_CUDA STREQUAL "ON")
    message(FATAL_ERROR "PG_CUDA is ON but ${no_nvcc}; install the CUDA toolkit or set PG_CUDA=AUTO")
  else()
    message(STATUS "CUDA kernels: not compiled, ${no_nvcc}; the host runs them by the fiber executor")
  endif()
else()
  message(STATUS "CUDA kernels: not compiled, PG_CUDA is OFF")
endif()

if(PG_HAVE_CUDA)
  # Machine code for A100 and H100, and PTX of which a driver makes it for any later GPU that has none here.
  set(pg_chooses_architectures OFF)
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(pg_chooses_architectures ON)
    set(CMAKE_CUDA_ARCHITECTURES "80-real;90")
  endif()
  enable_language(CUDA)
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know that nvcc 12 and later speak C++20
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
  endif()
  set(CMAKE_CUDA_STANDARD 20)
  find_package(CUDAToolkit REQUIRED)
  # For B200 from the PTX of compute_90, which the tests execute: that of compute_100 comes from another generation of nvcc's
  # compiler, so that it would be looked at by nobody, and takes half as long again to make (this, a fifth).
  set(pg_cuda_code "")
  set(also "")
  if(pg_chooses_architectures AND NOT CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12.8)
    set(pg_cuda_code "SHELL:-gencode arch=compute_90,code=sm_100")
    set(also ", and sm_100 from the PTX of 90")
  endif()
  message(STATUS "CUDA kernels: compiled by nvcc ${CMAKE_CUDA_COMPILER_VERSION} for ${CMAKE_CUDA_ARCHITECTURES}${also}")

  add_library(pg_kernels_cuda STATIC ${pg_kernel_sources})
  set_target_properties(pg_kernels_cuda PROPERTIES POSITION_INDEPENDENT_CODE ON)  # part of a module
  target_include_directories(pg_kernels_cuda PUBLIC ${CMAKE_SOURCE_DIR})
  # A kernel that spills registers or indexes local memory is a warning of ptxas, hence an error too.
  target_compile_options(pg_kernels_cuda PRIVATE
    ${pg_cuda_code} -Werror all-warnings -Xcompiler=-Wall,-Wextra -Xptxas=-warn-spills,-warn-lmem-usage
    --expt-relaxed-constexpr -lineinfo)
  target_link_libraries(pg_kernels_cuda PUBLIC CUDA::cudart_static)

  # The PTX that the machine code was made from, kernels_ptx/NAME.compute_80.ptx, for the tests that run it on the host.
  # nvcc keeps all of its files, some 9 MB a source.
  set(pg_kernel_ptx_dir ${CMAKE_BINARY_DIR}/kernels_ptx)
  file(MAKE_DIRECTORY ${pg_kernel_ptx_dir})
  target_compile_options(pg_kernels_cuda PRIVATE "SHELL:--keep --keep-dir ${pg_kernel_ptx_dir}")
  add_custom_command(TARGET pg_kernels_cuda POST_BUILD VERBATIM
    COMMAND find ${pg_kernel_ptx_dir} -type f -not -name *.ptx -delete)
endif()
