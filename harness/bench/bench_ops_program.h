// `train_gpt bench ops`: speed of every op over the cases of the op test, beside the machine's peak.
#pragma once
#include <string>

namespace pg {

struct BenchOpsOptions {
  std::string device = "cpu";
  std::string filter;  // only cases with this text in "op [shape]"
  bool once = false;   // one run a case
  bool json = false;   // one JSON object a line instead of the table
};

// The cases belong to the tests, and so does the program that times them (tests/bench/bench_ops.cpp):
// this one starts it. Gives its exit code; throws Error where it has not been built.
int run_bench_ops(const BenchOpsOptions& options);

}  // namespace pg
