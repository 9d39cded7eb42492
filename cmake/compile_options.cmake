# pg_options carries the flags every target of ours is compiled with.
add_library(pg_options INTERFACE)
target_include_directories(pg_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(pg_options INTERFACE -Wall -Wextra -Wconversion -Wno-unknown-pragmas)
target_compile_options(pg_options INTERFACE -fopenmp-simd)  # `#pragma omp simd`, no OpenMP threads
# The same bits on every processor: a product and a sum are fused where the code says std::fma, and nowhere else.
target_compile_options(pg_options INTERFACE -ffp-contract=off)
if(PG_WERROR)
  target_compile_options(pg_options INTERFACE -Werror)
endif()
if(CMAKE_UNITY_BUILD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(pg_options INTERFACE -Wno-subobject-linkage)  # it takes included .cpp files for headers
endif()
# No -ffast-math anywhere: it lets the compiler reorder sums, and numbers would depend on its mood.
set(CMAKE_CXX_FLAGS_RELEASE "-O3 -DNDEBUG -fno-math-errno -fno-trapping-math")
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g1")
if(PG_NATIVE)
  target_compile_options(pg_options INTERFACE -march=native)
  # g++ 12 prefers 256-bit vectors on every AVX-512 machine; our loops are long enough for the full width.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
    target_compile_options(pg_options INTERFACE -mprefer-vector-width=512)
  endif()
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  # It warns of each `omp simd` loop that a sanitizer keeps from vectorising, and its -Wconversion warns of signs,
  # which g++'s does not.
  target_compile_options(pg_options INTERFACE -Wno-pass-failed -Wno-sign-conversion)
endif()
if(PG_SANITIZE)
  target_compile_options(pg_options INTERFACE -fsanitize=${PG_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(pg_options INTERFACE -fsanitize=${PG_SANITIZE})
endif()
if(PG_FUZZ)
  target_compile_options(pg_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
