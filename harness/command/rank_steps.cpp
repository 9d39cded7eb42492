#include "harness/command/rank_steps.h"

#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <memory>

#include "harness/command/interrupt.h"
#include "harness/recipe/recipe_identity.h"
#include "harness/record/machine.h"
#include "src/base/error.h"
#include "src/device/comm/agreement.h"
#include "src/device/registry/make_device.h"

namespace pg {
namespace {

void check_ranks_agree(Comm& comm, const Recipe& recipe, uint64_t data_fingerprint) {
  const std::array<std::pair<std::string, std::string>, 4> facts = {{
      {"build", describe_program()},
      {"train.gradient_leaves", std::to_string(recipe.train.gradient_leaves)},
      {"recipe", fmt::format("{:016x}", identify_training(recipe, 0))},
      {"training data", fmt::format("{:016x}", data_fingerprint)},
  }};
  check_agreement(comm, facts);
}

}  // namespace

LocalRanks join_ranks(const RunOptions& options, const Recipe& recipe) {
  RankPlan plan = plan_ranks(detect_launch(), static_cast<int>(options.ranks));
  if (!plan.note.empty()) fmt::print(stderr, "{}\n", plan.note);
  try {
    if (plan.kind != RankPlan::Kind::kNone) check_batches(recipe.train, plan.ranks);
  } catch (const Error&) {
    if (plan.rank == 0) throw;
    plan.kind = RankPlan::Kind::kNone;
  }
  return LocalRanks(plan);
}

TrainResult train_on_ranks(LocalRanks& ranks, const Recipe& recipe, const Batches& batches,
                           uint64_t data_fingerprint, const TrainSetup& first) {
  TrainResult result;
  ranks.run([&](Comm& comm) {
    check_ranks_agree(comm, recipe, data_fingerprint);
    TrainSetup setup;
    if (comm.rank() == 0) setup = first;
    setup.comm = &comm;
    setup.model = recipe.model;
    setup.train = recipe.train;
    setup.optimizer = recipe.optimizer;
    setup.batches = &batches;
    std::unique_ptr<Device> own;  // of the others
    if (setup.device == nullptr) setup.device = (own = make_device(recipe.track.device)).get();
    TrainResult trained = train(setup);
    if (comm.rank() == 0) result = std::move(trained);
  });
  return result;
}

int follow_run(LocalRanks& ranks, const Recipe& recipe) {
  if (ranks.has_none()) return 0;
  const TokenStream tokens = open_shards(recipe.data.train_shards, recipe);
  const Batches batches(tokens, recipe.data.loader, static_cast<uint64_t>(recipe.train.seed),
                        recipe.train.seq_len);
  announce_interrupt("rank 0 decides when the run ends");
  train_on_ranks(ranks, recipe, batches, tokens.fingerprint(), {});
  ranks.leave();
  return 0;
}

}  // namespace pg
