// `train_gpt --version`.
#pragma once
#include <string>

namespace pg {

// Revision, compiler, the instructions that products use on this machine, libraries.
std::string describe_version();

}  // namespace pg
