# The counted code (quant/artifact_sources.txt) as one xz bundle inside pg_quant_method; rebuilt when a listed file changes.
find_package(Python3 REQUIRED COMPONENTS Interpreter)  # python3

set(PG_BUNDLE_LIST ${CMAKE_SOURCE_DIR}/quant/artifact_sources.txt)
set(PG_BUNDLE_SCRIPT ${CMAKE_SOURCE_DIR}/scripts/bundle_code.py)
set(PG_BUNDLE ${CMAKE_BINARY_DIR}/code_bundle.xz)
set(PG_BUNDLE_CPP ${CMAKE_BINARY_DIR}/code_bundle.cpp)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PG_BUNDLE_LIST})

file(STRINGS ${PG_BUNDLE_LIST} PG_BUNDLE_PATTERNS REGEX "^[^#]")
list(TRANSFORM PG_BUNDLE_PATTERNS PREPEND ${CMAKE_SOURCE_DIR}/)
file(GLOB PG_BUNDLE_SOURCES CONFIGURE_DEPENDS ${PG_BUNDLE_PATTERNS})

add_custom_command(
  OUTPUT ${PG_BUNDLE} ${PG_BUNDLE_CPP}
  COMMAND ${Python3_EXECUTABLE} ${PG_BUNDLE_SCRIPT} pack ${CMAKE_SOURCE_DIR} ${PG_BUNDLE_LIST}
          ${PG_BUNDLE} ${PG_BUNDLE_CPP}
  DEPENDS ${PG_BUNDLE_SCRIPT} ${PG_BUNDLE_LIST} ${PG_BUNDLE_SOURCES}
  COMMENT "Packing the counted sources"
  VERBATIM)
target_sources(pg_quant_method PRIVATE ${PG_BUNDLE_CPP})

# Stripped sources must still be a scorer: unpack them, check their includes, compile each, link them.
# Without contraction, as CMakeLists.txt compiles them: whoever builds the scorer needs that flag for the same bits.
add_test(NAME CodeBundle_LinksIntoAScorer
  COMMAND ${Python3_EXECUTABLE} ${PG_BUNDLE_SCRIPT} verify ${PG_BUNDLE} ${CMAKE_CXX_COMPILER}
          -std=c++20 -w -ffp-contract=off -fopenmp -- -fopenmp -ldnnl -lfmt -lsentencepiece -lzstd -llzma -lcrypto)
set_tests_properties(CodeBundle_LinksIntoAScorer PROPERTIES LABELS slow TIMEOUT 300)
