// "did you mean": the known name nearest to a mistyped one.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace pg {

// Insertions, deletions, substitutions and swaps of neighbours that turn a into b.
size_t edit_distance(std::string_view a, std::string_view b);

// The first of the nearest names; empty when none is near enough to be meant.
std::string find_nearest_name(std::string_view name, const std::vector<std::string>& known);

}  // namespace pg
