// The product's kernels by the PTX that the build's nvcc made of them.
#pragma once
#include <string>
#include <vector>

#include "tests/simt/ptx/ptx_launch.h"

namespace pg::ptx {

// Why there is none; empty when there is.
std::string why_no_ptx();

// Paths of the build's PTX of an architecture such as "compute_80"; none where it was not compiled for.
std::vector<std::string> ptx_files(const std::string& architecture);
// Of seeded bugs (tests/simt/mutants.cmake) of one family; "" where there is none.
std::string ptx_of_mutants(const std::string& family);

// Virtual architectures that the build compiled kernels for.
std::vector<std::string> architectures();
// Those whose PTX is no other's but for the name: what runs on one runs on all the same.
std::vector<std::string> distinct_architectures();

PtxKernels& product_kernels(const std::string& architecture);

}  // namespace pg::ptx
