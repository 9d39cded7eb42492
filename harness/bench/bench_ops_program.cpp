#include "harness/bench/bench_ops_program.h"

#include <vector>

#include "harness/bench/test_program.h"

namespace pg {

int run_bench_ops(const BenchOpsOptions& options) {
  std::vector<std::string> words = {"--device", options.device};
  if (!options.filter.empty()) words.insert(words.end(), {"--filter", options.filter});
  if (options.once) words.emplace_back("--once");
  if (options.json) words.emplace_back("--json");
  return run_test_program("bench ops", "bench_ops", words);
}

}  // namespace pg
