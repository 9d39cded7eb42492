# What pg_test(simt) cannot express: seeded bugs, and the same kernel tests on a GPU.
include(${CMAKE_CURRENT_LIST_DIR}/mutants.cmake)

# Links every launcher as nvcc compiled it, and runs where there is a GPU; elsewhere its tests say that they skip.
if(PG_HAVE_CUDA AND NOT PG_SANITIZE)
  set(dir ${CMAKE_CURRENT_LIST_DIR})
  file(GLOB checks CONFIGURE_DEPENDS ${dir}/*_check.cpp ${dir}/*_kernel_test.cpp)
  list(REMOVE_ITEM checks ${dir}/op_check.cpp)  # of ops on the host; ops_test has those on a GPU
  add_executable(kernels_cuda_test
    ${dir}/cuda/kernel_harness_cuda.cpp ${checks})
  target_link_libraries(kernels_cuda_test PRIVATE pg_options pg_device_reference pg_kernels_cuda GTest::gtest_main)
  add_test(NAME kernels_cuda COMMAND kernels_cuda_test)
  set_tests_properties(kernels_cuda PROPERTIES LABELS fast SKIP_REGULAR_EXPRESSION "\\[  SKIPPED \\]")
endif()
