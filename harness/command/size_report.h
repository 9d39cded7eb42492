// `train_gpt size`: what an artifact takes of the cap, by what it holds.
#pragma once
#include "harness/command/cli.h"

namespace pg {

// Prints to stdout; exit code 1 when a cap that was asked for does not hold. Throws Error for a
// file that is no artifact.
int print_size(const SizeOptions& options);

}  // namespace pg
