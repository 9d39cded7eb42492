# What pg_test(simt) cannot express: seeded bugs, and the same kernel tests on a GPU.
if(NOT PG_SANITIZE)
  include(${CMAKE_CURRENT_LIST_DIR}/mutants.cmake)
endif()

# The kernels by their PTX as well (ptx/); a kernel is found in it by the symbol that the program exports.
file(GLOB ptx_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/ptx/*.cpp)
target_sources(simt_test PRIVATE ${ptx_sources})
set_target_properties(simt_test PROPERTIES ENABLE_EXPORTS ON)
set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/ptx/ptx_harness.cpp PROPERTIES COMPILE_DEFINITIONS PG_PTX_DIR="${pg_kernel_ptx_dir}")
if(PG_HAVE_CUDA)
  add_dependencies(simt_test pg_kernels_cuda)
endif()
# The tests of launchers once more, by PTX; of each architecture whose instructions are not another's.
if(NOT PG_SANITIZE)
  foreach(architecture compute_80 compute_90)
    add_test(NAME Ptx.KernelTests.${architecture} COMMAND simt_test --gtest_brief=1 --gtest_filter=*Kernel.* WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(Ptx.KernelTests.${architecture} PROPERTIES LABELS fast TIMEOUT 300
      ENVIRONMENT PG_KERNELS_BY_PTX=${architecture} SKIP_REGULAR_EXPRESSION "ptx_harness.cpp:[0-9]+: Skipped")
  endforeach()
endif()

if(NOT PG_SANITIZE)
  add_test(NAME Kernels.ConfigureWithoutNvccInOneLine COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/cuda/configure_test.py ${CMAKE_SOURCE_DIR})
  set_tests_properties(Kernels.ConfigureWithoutNvccInOneLine PROPERTIES LABELS fast TIMEOUT 300)
endif()

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

# The runtime that a GPU has and NCCL as ranks use it, over stand-ins for the CUDA runtime, cuBLASLt and NCCL.
if(PG_HAVE_CUDA AND TARGET CUDA::cublasLt AND NCCL_INCLUDE_DIR)
  file(GLOB fake_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/fake_cuda/*.cpp)
  list(APPEND fake_sources ${CMAKE_SOURCE_DIR}/src/device/cuda/gpu/cuda_runtime.cpp ${pg_nccl_sources}
    ${CMAKE_SOURCE_DIR}/src/device/cuda/cudnn/no_cudnn_attention.cpp
    ${CMAKE_SOURCE_DIR}/tests/comm/comm_checks.cpp ${CMAKE_SOURCE_DIR}/tests/data/data_fixture.cpp
    ${CMAKE_SOURCE_DIR}/tests/selftest/link_check.cpp)
  add_executable(fake_cuda_test ${fake_sources})
  target_include_directories(fake_cuda_test SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS} ${NCCL_INCLUDE_DIR})
  target_link_libraries(fake_cuda_test PRIVATE op_cases trajectory pg_data_corpus GTest::gtest_main)
  # The stand-in for NCCL is found as a library is, and kernels' names by their symbols.
  set_target_properties(fake_cuda_test PROPERTIES ENABLE_EXPORTS ON)
  gtest_discover_tests(fake_cuda_test WORKING_DIRECTORY ${CMAKE_SOURCE_DIR} PROPERTIES LABELS fast_unit TIMEOUT 300 DISCOVERY_TIMEOUT 60)
endif()

include(${CMAKE_CURRENT_LIST_DIR}/fake_cudnn/cudnn_tests.cmake)

# Registers, spills, widths of accesses and tensor-core instructions of the kernels' machine code: kernels/budgets.txt.
set(kernel_budgets ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/budgets/kernel_budgets_test.py)
add_test(NAME Kernels.PassedBudgetsAreCaught COMMAND ${kernel_budgets} --self)
set_tests_properties(Kernels.PassedBudgetsAreCaught PROPERTIES LABELS fast)
if(PG_HAVE_CUDA)
  add_test(NAME Kernels.KeepTheirBudgets COMMAND ${kernel_budgets} $<TARGET_FILE:pg_kernels_cuda>)
  set_tests_properties(Kernels.KeepTheirBudgets PROPERTIES LABELS fast TIMEOUT 300 SKIP_RETURN_CODE 77)
endif()

# The kernel tests and every op once more on instrumented kernels, where an access to shared memory without a barrier is
# an error whatever the schedule (kernels/simt/simt_races.h).
if(NOT PG_SANITIZE)
  set(dir ${CMAKE_CURRENT_LIST_DIR})
  file(GLOB checks CONFIGURE_DEPENDS ${dir}/*_check.cpp ${dir}/*_kernel_test.cpp)
  list(TRANSFORM pg_simt_sources PREPEND ${CMAKE_SOURCE_DIR}/)
  add_executable(simt_races_test ${pg_simt_sources} ${CMAKE_SOURCE_DIR}/kernels/simt/simt_race_hooks.cpp
    ${dir}/device_memory.cpp ${dir}/kernel_harness_simt.cpp ${dir}/races/races_test.cpp ${dir}/races/op_races_test.cpp ${checks})
  pg_add_host_kernels(simt_races_test ${pg_kernel_sources})
  set(watched ${pg_host_kernel_options} -fsanitize=thread -O1)
  foreach(source ${pg_kernel_sources})
    cmake_path(GET source STEM name)
    set_source_files_properties(${CMAKE_BINARY_DIR}/simt/${name}.simt.cpp PROPERTIES COMPILE_OPTIONS "${watched}")
  endforeach()
  set_source_files_properties(${dir}/races/races_test.cpp PROPERTIES COMPILE_OPTIONS "${watched}")
  # The ops take the kernels above: what the executable defines, a library is not asked for.
  target_link_libraries(simt_races_test PRIVATE op_cases GTest::gtest_main)
  set_target_properties(simt_races_test PROPERTIES UNITY_BUILD OFF)
  gtest_discover_tests(simt_races_test WORKING_DIRECTORY ${CMAKE_SOURCE_DIR} TEST_PREFIX Races.
    PROPERTIES LABELS fast_unit TIMEOUT 300 DISCOVERY_TIMEOUT 60)
endif()

# The device of a GPU and its ranks in any order of streams (streams/), on kernels whose accesses are reported, like those above.
if(PG_HAVE_CUDA AND TARGET CUDA::cublasLt AND NCCL_INCLUDE_DIR AND NOT PG_SANITIZE)
  include(${CMAKE_CURRENT_LIST_DIR}/streams/stream_mutants.cmake)
  file(GLOB stream_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/streams/*.cpp)
  set(ordered_sources ${fake_sources})
  list(FILTER ordered_sources EXCLUDE REGEX "_test\\.cpp$")
  add_executable(streams_test ${stream_sources} ${ordered_sources} ${pg_simt_sources}
    ${CMAKE_SOURCE_DIR}/kernels/simt/simt_race_hooks.cpp ${pg_stream_mutant_files})
  pg_add_host_kernels(streams_test ${pg_kernel_sources})
  foreach(source ${pg_kernel_sources})
    cmake_path(GET source STEM name)
    set_source_files_properties(${CMAKE_BINARY_DIR}/simt/${name}.simt.cpp PROPERTIES COMPILE_OPTIONS "${watched}")
  endforeach()
  target_include_directories(streams_test SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS} ${NCCL_INCLUDE_DIR})
  target_link_libraries(streams_test PRIVATE op_cases trajectory pg_data_corpus GTest::gtest_main)
  target_link_options(streams_test PRIVATE -Wl,--wrap=memcpy)  # streams/wrapped_memcpy.cpp
  set_target_properties(streams_test PROPERTIES ENABLE_EXPORTS ON UNITY_BUILD OFF)
  gtest_discover_tests(streams_test WORKING_DIRECTORY ${CMAKE_SOURCE_DIR} PROPERTIES LABELS fast_unit TIMEOUT 300 DISCOVERY_TIMEOUT 60)
endif()
