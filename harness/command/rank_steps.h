// What ranks do of `train_gpt run`: rank 0's process runs the pipeline, the others follow it through
// the phases that are computed together.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "harness/command/cli.h"
#include "harness/command/rank_scoring.h"
#include "harness/command/run_steps.h"
#include "harness/recipe/recipe.h"
#include "src/base/bytes.h"
#include "src/device/comm/local_ranks.h"

namespace pg {

// The ranks that this process serves, as it was started or as `asked` (0: not) says; tells on stderr
// what a launcher's user should know. `check` throws Error where the job cannot be shared by so
// many. Throws Error, on rank 0 alone, where it does or the ranks cannot be.
LocalRanks join_ranks(int64_t asked, const std::function<void(int ranks)>& check);

// What a rank works with besides the recipe: a name and a value each.
using RankFacts = std::vector<std::pair<std::string, std::string>>;
// Throws the same Error on every rank, naming the key, where one has another recipe, another build
// or other facts.
void check_ranks_agree(Comm& comm, const Recipe& recipe, const RankFacts& own);

// The text of every rank.
struct RankText {
  const TokenStream& train;
  const TokenStream& val;
  const Batches& batches;          // of train
  std::vector<int32_t> prefix_of;  // list_token_prefixes()
};
// Of each token's bytes the longest prefix that is a token; empty where the recipe needs none.
std::vector<int32_t> list_token_prefixes(const Recipe& recipe);

// Trains on all ranks; `first` is for rank 0. Gives rank 0's result, in a process without it its
// own, which has the same weights.
TrainResult train_on_ranks(LocalRanks& ranks, const Recipe& recipe, const RankText& text,
                           const RankScoring& scoring, const TrainSetup& first);

// Rank 0's bytes, in every process.
Bytes share_bytes(LocalRanks& ranks, Bytes bytes);

// A process without rank 0: trains and scores along with the others and writes nothing. Gives the
// exit code.
int follow_run(LocalRanks& ranks, const Recipe& recipe);

}  // namespace pg
