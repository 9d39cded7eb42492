// Where a command may write.
#pragma once
#include <cstdio>
#include <filesystem>
#include <initializer_list>

namespace pg {

// Before any work for `out`. Throws Error when it is one of the files that it is made from, under
// whatever name, or a file or pipe that messages go to as well; removes what a killed process left
// of a file beside it.
void prepare_output(const std::filesystem::path& out,
                    std::initializer_list<std::filesystem::path> inputs);

// Where the lines about a written file go: stdout, or stderr where `out` is stdout by whatever name.
std::FILE* summary_stream(const std::filesystem::path& out);

}  // namespace pg
