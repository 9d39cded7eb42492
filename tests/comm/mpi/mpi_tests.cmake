# Ranks that mpirun starts. Not under ThreadSanitizer: OpenMPI is not compiled with it.
if(NOT PG_SANITIZE MATCHES "thread")
  add_executable(mpi_ranks comm/mpi/mpi_ranks.cpp comm/comm_checks.cpp)
  target_link_libraries(mpi_ranks PRIVATE pg_device_comm)
  # Beside the module, where the program lies as well.
  set_target_properties(mpi_ranks PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
  if(PG_HAVE_MPI)
    add_dependencies(mpi_ranks comm_mpi)
  endif()
  add_test(NAME Comm.BetweenProcessesOfMpirun
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/comm/mpi/mpi_test.py $<TARGET_FILE:mpi_ranks>)
  set_tests_properties(Comm.BetweenProcessesOfMpirun PROPERTIES LABELS fast TIMEOUT 300 SKIP_RETURN_CODE 77)
endif()
