# cuDNN's attention without a GPU: over a stand-in for cuDNN, and cuDNN's own plans for a GPU that is described.
if(NOT PG_HAVE_CUDNN OR PG_SANITIZE)
  add_test(NAME Cudnn.IsNotCompiledIn COMMAND ${CMAKE_COMMAND} -E echo
    "skipped: this build has no cuDNN; scripts/fetch_cudnn_frontend.sh fetches what it needs")
  set_tests_properties(Cudnn.IsNotCompiledIn PROPERTIES LABELS fast SKIP_REGULAR_EXPRESSION "skipped")
  return()
endif()

# The stand-in is this program: the front end finds its functions by name.
file(GLOB fake_cudnn_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*.cpp)
file(GLOB fake_cuda_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/../fake_cuda/*.cpp)
list(FILTER fake_cuda_sources EXCLUDE REGEX "_test[.]cpp$|fake_nccl[.]cpp$")
add_executable(fake_cudnn_test ${fake_cudnn_sources} ${fake_cuda_sources} ${CMAKE_SOURCE_DIR}/src/device/cuda/gpu/cuda_runtime.cpp
  ${pg_nccl_sources} ${CMAKE_SOURCE_DIR}/tests/selftest/library_attention.cpp)
target_include_directories(fake_cudnn_test SYSTEM PRIVATE ${CUDNN_INCLUDE_DIR} ${CUDAToolkit_INCLUDE_DIRS} $<$<BOOL:${NCCL_INCLUDE_DIR}>:${NCCL_INCLUDE_DIR}>)
target_link_libraries(fake_cudnn_test PRIVATE pg_cudnn op_cases trajectory GTest::gtest_main ${CMAKE_DL_LIBS})
set_target_properties(fake_cudnn_test PROPERTIES ENABLE_EXPORTS ON)
gtest_discover_tests(fake_cudnn_test WORKING_DIRECTORY ${CMAKE_SOURCE_DIR} PROPERTIES LABELS fast_unit TIMEOUT 300 DISCOVERY_TIMEOUT 60)

# A driver that is not there, under the name by which cuDNN asks for one.
add_library(fake_driver SHARED ${CMAKE_CURRENT_LIST_DIR}/plans/fake_driver.cpp)
target_link_libraries(fake_driver PRIVATE pg_options)
set_target_properties(fake_driver PROPERTIES OUTPUT_NAME cuda SOVERSION 1 LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests/fake_driver)
add_executable(cudnn_plans_test ${CMAKE_CURRENT_LIST_DIR}/plans/cudnn_plans_test.cpp ${CMAKE_SOURCE_DIR}/src/device/cuda/cudnn/cudnn_library.cpp)
target_compile_definitions(cudnn_plans_test PRIVATE PG_FAKE_DRIVER="$<TARGET_FILE:fake_driver>")
target_link_libraries(cudnn_plans_test PRIVATE pg_cudnn pg_harness_bench pg_harness_recipe GTest::gtest_main ${CMAKE_DL_LIBS})
add_dependencies(cudnn_plans_test fake_driver)  # opened at run time
set_target_properties(cudnn_plans_test PROPERTIES BUILD_RPATH ${CUDAToolkit_LIBRARY_DIR})  # where cuDNN may lie
gtest_discover_tests(cudnn_plans_test WORKING_DIRECTORY ${CMAKE_SOURCE_DIR} PROPERTIES LABELS fast_unit TIMEOUT 300 DISCOVERY_TIMEOUT 60)
