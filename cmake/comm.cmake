# What joins ranks beyond one process. MPI is a module beside the program, opened when a run asks for it
# (src/device/comm/load_mpi.h), so that the program itself starts where MPI is not installed.
set(PG_HAVE_MPI OFF)
if(NOT PG_MPI STREQUAL "OFF")
  pkg_check_modules(OPENMPI QUIET IMPORTED_TARGET ompi-c)  # libopenmpi-dev
  if(OPENMPI_FOUND)
    set(PG_HAVE_MPI ON)
  elseif(PG_MPI STREQUAL "ON")
    message(FATAL_ERROR "PG_MPI is ON but OpenMPI was not found; install libopenmpi-dev or set PG_MPI=AUTO")
  else()
    message(STATUS "MPI: not compiled, OpenMPI was not found; ranks run as threads of one process")
  endif()
endif()
if(PG_HAVE_MPI)
  message(STATUS "MPI: OpenMPI ${OPENMPI_VERSION}")
  add_library(comm_mpi MODULE src/device/comm/mpi/comm_mpi.cpp)
  target_compile_definitions(comm_mpi PRIVATE OMPI_SKIP_MPICXX)  # its old C++ interface
  target_link_libraries(comm_mpi PRIVATE pg_options PkgConfig::OPENMPI)
  set_target_properties(comm_mpi PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
endif()

# NCCL joins GPUs: part of the module of CUDA devices (cuda.cmake). Its header alone is needed; the library is opened at run time
# (nccl_library.cpp).
set(pg_nccl_sources src/device/comm/nccl/comm_nccl.cpp src/device/comm/nccl/nccl_facts.cpp)
if(PG_HAVE_CUDA)
  find_path(NCCL_INCLUDE_DIR nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
  if(NCCL_INCLUDE_DIR)
    list(APPEND pg_nccl_sources src/device/comm/nccl/nccl_library.cpp)
  else()
    list(APPEND pg_nccl_sources src/device/comm/nccl/absent/no_nccl.cpp)
    message(STATUS "NCCL: not compiled, the CUDA toolkit has no nccl.h; ranks on GPUs go through their hosts")
  endif()
endif()
list(TRANSFORM pg_nccl_sources PREPEND ${CMAKE_SOURCE_DIR}/)
