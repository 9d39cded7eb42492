# System packages only; a missing one names the Debian package that brings it (packages.txt lists them all).
find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED)                        # oneDNN's runtime, which we hold to one thread
find_package(PkgConfig REQUIRED)
find_package(LibLZMA REQUIRED)                       # liblzma-dev
find_package(fmt CONFIG REQUIRED)                    # libfmt-dev
find_package(CLI11 CONFIG REQUIRED)                  # libcli11-dev
find_package(tomlplusplus CONFIG REQUIRED)           # libtomlplusplus-dev
find_package(Boost REQUIRED)                         # libboost-dev: Student's t in harness/statistics
find_package(nlohmann_json CONFIG REQUIRED)          # nlohmann-json3-dev
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)                  # libzstd-dev
# What artifacts of other teams use: only to compare our own coder with (harness/bench/reference_coders.h).
pkg_check_modules(BROTLI REQUIRED IMPORTED_TARGET libbrotlienc libbrotlidec)  # libbrotli-dev
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto)                # libssl-dev: SHA-256, on the processor's own instructions
pkg_check_modules(SENTENCEPIECE REQUIRED IMPORTED_TARGET sentencepiece)   # libsentencepiece-dev

# oneDNN's own CMake package insists on OpenCL headers, which its CPU engine does not need.
find_path(DNNL_INCLUDE_DIR dnnl.hpp REQUIRED)   # libdnnl-dev
find_library(DNNL_LIBRARY dnnl REQUIRED)
add_library(DNNL::dnnl UNKNOWN IMPORTED)
set_target_properties(DNNL::dnnl PROPERTIES
  IMPORTED_LOCATION ${DNNL_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${DNNL_INCLUDE_DIR})
