#include "harness/bench/bench_ops_program.h"

#include <fmt/format.h>

#include <filesystem>
#include <optional>
#include <system_error>
#include <vector>

#include "harness/bench/child_program.h"
#include "src/base/error.h"

namespace pg {

int run_bench_ops(const BenchOpsOptions& options) {
  std::error_code ignored;
  const std::filesystem::path folder =
      std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
  const std::string program = (folder / "tests" / "bench_ops").string();
  std::vector<std::string> words = {program, "--device", options.device};
  if (!options.filter.empty()) words.insert(words.end(), {"--filter", options.filter});
  if (options.once) words.emplace_back("--once");
  if (options.json) words.emplace_back("--json");
  if (const std::optional<int> code = run_child(words, ChildOutput::kOurs)) return *code;
  throw Error(fmt::format(
      "bench ops: there is no \"{}\", which is built with the tests; run scripts/build.sh first",
      program));
}

}  // namespace pg
