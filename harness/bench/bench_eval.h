// `train_gpt bench eval`: speed of scoring by sliding windows, beside the machine's peak.
#pragma once
#include <cstdint>
#include <string>

namespace pg {

struct BenchEvalOptions {
  std::string device = "cpu";
  int64_t passes = 10;  // timed forward passes of each kind
  bool profile = false;
};

// Times the forward pass of a batch of windows, on random tokens and weights of the CPU track's
// shape: logits of all positions, and of the scored ones alone, which is what the scorer runs.
int run_bench_eval(const BenchEvalOptions& options);

}  // namespace pg
