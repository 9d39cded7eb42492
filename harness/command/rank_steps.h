// What ranks do of `train_gpt run`: rank 0's process runs the pipeline, the others follow it through
// the phases that are computed together.
#pragma once
#include "harness/command/cli.h"
#include "harness/command/run_steps.h"
#include "harness/recipe/recipe.h"
#include "src/device/comm/local_ranks.h"

namespace pg {

// The ranks that this process serves, as it was started or as --ranks says; tells on stderr what a
// launcher's user should know. Throws Error, on rank 0 alone, where they cannot be or cannot share
// the recipe's batches.
LocalRanks join_ranks(const RunOptions& options, const Recipe& recipe);

// Trains on all ranks; `first` is for rank 0. Refuses ranks that differ in recipe, data or build.
TrainResult train_on_ranks(LocalRanks& ranks, const Recipe& recipe, const Batches& batches,
                           uint64_t data_fingerprint, const TrainSetup& first);

// A process without rank 0: trains along with the others and writes nothing. Gives the exit code.
int follow_run(LocalRanks& ranks, const Recipe& recipe);

}  // namespace pg
