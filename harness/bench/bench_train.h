// `train_gpt bench train`: speed of the training step - batches, gradients by leaves, optimizer,
// average - on random tokens, beside the machine's own peak measured in the same run.
#pragma once
#include <cstdint>
#include <string>

namespace pg {

struct BenchTrainOptions {
  std::string device = "cpu";
  // "small" (4 x 256, T = 256), "record" (the 27M stack, T = 2048), "cpu_10min_1mb", "record_gpu" (a
  // GPU's share of the record's step) or "all", which leaves out the last.
  std::string shape = "all";
  int64_t steps = 10;    // timed optimizer steps per shape, after one to warm up
  int64_t leaves = 1;    // train.gradient_leaves
  bool profile = false;  // time every op of the plan, and count all of the step
  bool json = false;     // one JSON object a shape instead of the table
};

// Prints to stdout; gives the exit code. Throws Error for an unknown shape or device.
int run_bench_train(const BenchTrainOptions& options);

}  // namespace pg
