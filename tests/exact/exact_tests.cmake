# cpu:exact and all that scores and packs has the same bits on every processor and in every build: the table is compared in each.
add_executable(exact_digests exact/exact_digests_main.cpp exact/digests_training.cpp exact/digests_text.cpp exact/digests_packing.cpp)
target_link_libraries(exact_digests PRIVATE pg_train pg_quant_method pg_eval_learn pg_eval_code pg_device_cpu)
set(exact_table ${CMAKE_CURRENT_LIST_DIR}/exact_digests.txt)
add_test(NAME Exact.TrainingScoringAndPackingHaveTheSameBits COMMAND exact_digests ${exact_table})
set_tests_properties(Exact.TrainingScoringAndPackingHaveTheSameBits PROPERTIES LABELS fast TIMEOUT 300)
# By kernels that this processor would not choose.
foreach(isa AVX2 SSE41)
  add_test(NAME Exact.SameBitsByKernelsOf${isa} COMMAND exact_digests ${exact_table})
  set_tests_properties(Exact.SameBitsByKernelsOf${isa} PROPERTIES LABELS fast TIMEOUT 300 ENVIRONMENT ONEDNN_MAX_CPU_ISA=${isa})
endforeach()

# The same program for another processor, emulated: once, beside the release build.
find_program(PG_AARCH64_CXX aarch64-linux-gnu-g++)  # g++-aarch64-linux-gnu
find_program(PG_QEMU_AARCH64 qemu-aarch64)          # qemu-user
if(PG_SANITIZE OR NOT PG_NATIVE)
  set(exact_not_run "the release build runs it")
elseif(NOT PG_AARCH64_CXX)
  set(exact_not_run "no aarch64-linux-gnu-g++; install g++-aarch64-linux-gnu and run cmake again")
elseif(NOT PG_QEMU_AARCH64)
  set(exact_not_run "no qemu-aarch64; install qemu-user and run cmake again")
endif()
if(exact_not_run)
  add_test(NAME Exact.SameBitsOnAarch64 COMMAND ${CMAKE_COMMAND} -E echo "not run: ${exact_not_run}")
else()
  include(ExternalProject)
  get_target_property(fmt_include_dir fmt::fmt INTERFACE_INCLUDE_DIRECTORIES)
  ExternalProject_Add(exact_aarch64
    SOURCE_DIR ${CMAKE_CURRENT_LIST_DIR}/aarch64
    BINARY_DIR ${CMAKE_BINARY_DIR}/exact_aarch64
    CMAKE_ARGS -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_CXX_COMPILER=${PG_AARCH64_CXX}
      -DCMAKE_CXX_COMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER} -DFMT_INCLUDE_DIR=${fmt_include_dir}
    INSTALL_COMMAND ""
    BUILD_ALWAYS ON)
  add_test(NAME Exact.SameBitsOnAarch64 COMMAND ${PG_QEMU_AARCH64} ${CMAKE_BINARY_DIR}/exact_aarch64/exact_digests ${exact_table})
endif()
set_tests_properties(Exact.SameBitsOnAarch64 PROPERTIES LABELS slow TIMEOUT 600 SKIP_REGULAR_EXPRESSION "not run: ")
