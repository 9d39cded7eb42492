// `train_gpt bench pack`: the weight coder on an artifact's codes, beside their order-0 entropy and
// the general compressors that other teams' artifacts use, all in one run.
#pragma once
#include <filesystem>
#include <vector>

namespace pg {

struct BenchPackOptions {
  std::vector<std::filesystem::path> artifacts;
  bool synthetic = false;  // also 36M Gaussian codes in the shapes of a 16 MB record
  bool no_lrzip = false;   // it takes seconds for each megabyte
};

// Prints to stdout; gives the exit code. Throws Error for a file that is no artifact.
int run_bench_pack(const BenchPackOptions& options);

}  // namespace pg
