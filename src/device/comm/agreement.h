// What all ranks must have alike before the first step: recipe, data, build, gradient leaves.
#pragma once
#include <span>
#include <string>
#include <utility>

#include "src/device/comm/comm.h"

namespace pg {

// Every rank gives (name, value) pairs, in the same order; a value is short, such as a hash. Throws
// the same Error on every rank where one differs from rank 0, naming what differs, both values and
// the rank.
void check_agreement(Comm& comm, std::span<const std::pair<std::string, std::string>> facts);

}  // namespace pg
