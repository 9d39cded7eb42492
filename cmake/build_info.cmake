# build_info.cpp: the code's revision, the compiler and the libraries, for --version and for records. One tiny file, so that a
# commit recompiles nothing else and no compiler cache is lost. Included by CMakeLists.txt; the build runs it as a script
# (cmake -P), because a commit does not configure anew.
if(CMAKE_SCRIPT_MODE_FILE)
  set(PG_REVISION unknown)
  find_program(GIT git)
  if(GIT AND EXISTS ${SOURCE}/.git)  # not of a repository that this tree was unpacked in
    execute_process(COMMAND ${GIT} describe --always --dirty --abbrev=12 --exclude=* WORKING_DIRECTORY ${SOURCE}
      OUTPUT_VARIABLE revision ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed)
    if(NOT failed)
      set(PG_REVISION ${revision})
    endif()
  endif()
  configure_file(${INPUT} ${OUTPUT} @ONLY)  # touches it only when the text differs
  return()
endif()

set(dnnl_version_lines)
if(EXISTS ${DNNL_INCLUDE_DIR}/oneapi/dnnl/dnnl_version.h)
  file(STRINGS ${DNNL_INCLUDE_DIR}/oneapi/dnnl/dnnl_version.h dnnl_version_lines
    REGEX "^#define DNNL_VERSION_(MAJOR|MINOR|PATCH)[ \t]+[0-9]+")
endif()
string(REGEX REPLACE "#define DNNL_VERSION_[A-Z]+[ \t]+" "" dnnl_version "${dnnl_version_lines}")
string(REPLACE ";" "." dnnl_version "${dnnl_version}")
set(PG_LIBRARIES "oneDNN ${dnnl_version}, SentencePiece ${SENTENCEPIECE_VERSION}, \
zstd ${ZSTD_VERSION}, liblzma ${LIBLZMA_VERSION_STRING}, brotli ${BROTLI_libbrotlienc_VERSION}, libcrypto ${CRYPTO_VERSION}, \
fmt ${fmt_VERSION}, nlohmann-json ${nlohmann_json_VERSION}, toml++ ${tomlplusplus_VERSION}, CLI11 ${CLI11_VERSION}")
set(PG_COMPILER "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}")
set(PG_OPTIONS "${CMAKE_BUILD_TYPE}")
if(PG_NATIVE)
  string(APPEND PG_OPTIONS ", for the processor it was built on")
endif()
if(PG_SANITIZE)
  string(APPEND PG_OPTIONS ", sanitizers ${PG_SANITIZE}")
endif()

set(PG_REVISION "@PG_REVISION@")  # left for the script
set(PG_BUILD_INFO ${CMAKE_BINARY_DIR}/build_info.cpp)
file(CONFIGURE OUTPUT ${PG_BUILD_INFO}.in @ONLY CONTENT [[// Written by cmake/build_info.cmake.
#include "harness/record/build_info.h"

namespace pg {

const BuildInfo kBuildInfo = {"@PG_REVISION@", "@PG_COMPILER@", "@PG_OPTIONS@", "@PG_LIBRARIES@"};

}  // namespace pg
]])
add_custom_target(pg_build_info
  COMMAND ${CMAKE_COMMAND} -DINPUT=${PG_BUILD_INFO}.in -DOUTPUT=${PG_BUILD_INFO} -DSOURCE=${CMAKE_SOURCE_DIR}
          -P ${CMAKE_SOURCE_DIR}/cmake/build_info.cmake
  BYPRODUCTS ${PG_BUILD_INFO}
  VERBATIM)
target_sources(pg_harness_record PRIVATE ${PG_BUILD_INFO})
add_dependencies(pg_harness_record pg_build_info)
