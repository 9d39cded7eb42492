# libFuzzer targets: each tests/fuzz/<name>_fuzz.cpp becomes a program, run from its committed corpus
# tests/fuzz/corpus/<name>/. The test runs each for PG_FUZZ_SECONDS.
if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  message(FATAL_ERROR "PG_FUZZ needs clang: configure with cmake --preset asan")
endif()
set(PG_FUZZ_SECONDS 30 CACHE STRING "Seconds that ctest runs each fuzz target")

file(GLOB fuzz_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/fuzz/*_fuzz.cpp)
add_custom_target(fuzz_targets)
foreach(source ${fuzz_sources})
  get_filename_component(target ${source} NAME_WE)
  string(REGEX REPLACE "_fuzz$" "" name ${target})
  add_executable(${target} ${source})
  target_link_libraries(${target} PRIVATE pg_harness_exchange pg_harness_verify pg_quant_method pg_eval_code)
  target_link_options(${target} PRIVATE -fsanitize=fuzzer)
  add_dependencies(fuzz_targets ${target})
  set(corpus ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name})
  set(found ${CMAKE_BINARY_DIR}/fuzz_corpus/${name})  # new inputs go here, not into the tree
  file(MAKE_DIRECTORY ${found})
  if(NOT EXISTS ${corpus})
    set(corpus)
  endif()
  add_test(NAME Fuzz.${name} COMMAND ${target} -max_total_time=${PG_FUZZ_SECONDS} -timeout=10
    -rss_limit_mb=2048 -print_final_stats=1 ${found} ${corpus})
  set_tests_properties(Fuzz.${name} PROPERTIES LABELS fuzz TIMEOUT 900)
endforeach()
