#include "harness/bench/test_program.h"

#include <fmt/format.h>

#include <filesystem>
#include <optional>
#include <system_error>

#include "harness/bench/child_program.h"
#include "src/base/error.h"

namespace pg {

int run_test_program(const std::string& command, const std::string& program,
                     const std::vector<std::string>& words) {
  std::error_code ignored;
  const std::filesystem::path folder =
      std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
  std::vector<std::string> all = {(folder / "tests" / program).string()};
  all.insert(all.end(), words.begin(), words.end());
  if (const std::optional<int> code = run_child(all, ChildOutput::kOurs)) return *code;
  throw Error(fmt::format(
      "{}: there is no \"{}\", which is built with the tests; run scripts/build.sh first", command,
      all.front()));
}

}  // namespace pg
