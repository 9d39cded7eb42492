// Where a command may write.
#pragma once
#include <filesystem>
#include <initializer_list>

namespace pg {

// Throws Error when `out` is one of the files that it is made from, under whatever name.
void check_output_is_no_input(const std::filesystem::path& out,
                              std::initializer_list<std::filesystem::path> inputs);

}  // namespace pg
