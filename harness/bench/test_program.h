// Programs that are built with the tests, since they run the op test's cases, and started by commands.
#pragma once
#include <string>
#include <vector>

namespace pg {

// Runs tests/<program> of the folder that this program lies in, for a command of that name. Gives its
// exit code; throws Error where it has not been built.
int run_test_program(const std::string& command, const std::string& program,
                     const std::vector<std::string>& words);

}  // namespace pg
