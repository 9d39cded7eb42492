#include "harness/command/output_path.h"

#include <fmt/format.h>

#include <system_error>

#include "src/base/error.h"
#include "src/text/text_escape.h"

namespace pg {

void check_output_is_no_input(const std::filesystem::path& out,
                              std::initializer_list<std::filesystem::path> inputs) {
  for (const std::filesystem::path& input : inputs) {
    std::error_code missing;  // one that is not there is not the same
    if (!std::filesystem::equivalent(out, input, missing) || missing) continue;
    throw Error(
        fmt::format("the output would replace what it is made from: \"{}\"; name another file",
                    escape_terminal(input.string())));
  }
}

}  // namespace pg
