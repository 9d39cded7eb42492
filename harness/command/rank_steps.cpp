#include "harness/command/rank_steps.h"

#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "harness/command/choose_average.h"
#include "harness/command/final_score.h"
#include "harness/command/interrupt.h"
#include "harness/recipe/recipe_identity.h"
#include "harness/record/machine.h"
#include "quant/method/round_to_grid.h"
#include "src/base/error.h"
#include "src/data/corpus/piece_bytes.h"
#include "src/data/tokenizer.h"
#include "src/device/comm/agreement.h"
#include "src/device/comm/join_devices.h"
#include "src/device/registry/make_device.h"
#include "src/train/loss_targets.h"

namespace pg {
namespace {

std::string show_fingerprint(const TokenStream& tokens) {
  return fmt::format("{:016x}", tokens.fingerprint());
}

}  // namespace

LocalRanks join_ranks(int64_t asked, const std::function<void(int ranks)>& check) {
  RankPlan plan = plan_ranks(detect_launch(), static_cast<int>(asked));
  if (!plan.note.empty()) fmt::print(stderr, "{}\n", plan.note);
  try {
    if (plan.kind != RankPlan::Kind::kNone) check(plan.ranks);
  } catch (const Error&) {
    if (plan.rank == 0) throw;
    plan.kind = RankPlan::Kind::kNone;
  }
  return LocalRanks(plan);
}

void check_ranks_agree(Comm& comm, const Recipe& recipe, const RankFacts& own) {
  RankFacts facts = {{"build", describe_program()}};
  for (auto& fact :
       list_identifying(recipe, Affects::kTraining | Affects::kPacking | Affects::kScoring)) {
    facts.push_back(std::move(fact));
  }
  facts.insert(facts.end(), own.begin(), own.end());
  check_agreement(comm, facts);
}

TrainResult train_on_ranks(LocalRanks& ranks, const Recipe& recipe, const RankText& text,
                           const RankScoring& scoring, const TrainSetup& first) {
  TrainResult result;
  ranks.run([&](Comm& comm) {
    check_ranks_agree(comm, recipe,
                      {{"training data", show_fingerprint(text.train)},
                       {"validation data", show_fingerprint(text.val)},
                       {"track.exchange", std::string(choice_name(recipe.track.exchange))}});
    TrainSetup setup;
    if (comm.rank() == 0) setup = first;
    setup.comm = &comm;
    setup.model = recipe.model;
    setup.train = recipe.train;
    setup.optimizer = recipe.optimizer;
    setup.batches = &text.batches;
    setup.prefix_of = text.prefix_of;
    if (recipe.train.late_qat_lr > 0) {
      setup.round_weights = [&recipe](const std::vector<HostTensor>& weights) {
        return round_to_grid(recipe.model, weights, recipe.quant);
      };
    }
    std::unique_ptr<Device> own;  // of the others
    if (setup.device == nullptr) {
      setup.device = (own = make_device(recipe.track.device, comm.rank())).get();
    }
    const DeviceLink link = join_devices(comm, *setup.device, recipe.track.exchange);
    if (link.comm != nullptr) setup.comm = link.comm.get();
    if (setup.observer != nullptr && !link.way.empty()) {
      setup.observer->on_note(fmt::format("exchange:{} ranks, {}", comm.ranks(), link.way));
    }
    setup.validate = [&](const std::vector<HostTensor>& weights) {
      const DiagnosticLoss loss = scoring.diagnose_on(comm, *setup.device, recipe.model, weights,
                                                      without_overlap(recipe.eval), {});
      return ValidationScore{loss.diagnostic_loss_nats, loss.diagnostic_bits_per_byte};
    };
    TrainResult trained = train(setup);
    if (comm.rank() == 0 || !ranks.are_threads()) result = std::move(trained);
  });
  return result;
}

Bytes share_bytes(LocalRanks& ranks, Bytes bytes) {
  if (ranks.are_threads()) return bytes;
  ranks.run([&](Comm& comm) {
    uint64_t size = bytes.size();
    comm.host().broadcast(&size, sizeof size, /*root=*/0);
    bytes.resize(size);
    comm.host().broadcast(bytes.data(), size, /*root=*/0);
  });
  return bytes;
}

std::vector<int32_t> list_token_prefixes(const Recipe& recipe) {
  if (recipe.train.prefix_weight == 0) return {};
  const Tokenizer tokenizer(recipe.data.tokenizer);
  std::vector<std::string> bytes;
  for (const Piece& piece : tokenizer.list_pieces()) bytes.push_back(list_piece_bytes(piece));
  return list_prefixes(std::vector<std::string_view>(bytes.begin(), bytes.end()));
}

int follow_run(LocalRanks& ranks, const Recipe& recipe) {
  if (ranks.has_none()) return 0;
  const TokenStream tokens = open_shards(recipe.data.train_shards, recipe);
  const TokenStream val = open_shards(recipe.data.val_shards, recipe);
  const Batches batches = order_batches(recipe, tokens);
  announce_interrupt("rank 0 decides when the run ends");
  const RankScoring scoring(ranks, recipe.track.device, val, {}, recipe.track.exchange);
  TrainResult trained = train_on_ranks(
      ranks, recipe, {tokens, val, batches, list_token_prefixes(recipe)}, scoring, {});
  if (!trained.others.empty()) take_average(trained, share_bytes(ranks, {}).at(0));
  scoring.diagnose(recipe.model, trained.exported, without_overlap(recipe.eval), {});
  const auto shipped = unpack(share_bytes(ranks, {}));
  if (!shipped.ok()) throw Error(shipped.error());
  scoring.evaluate(shipped.value(), {without_overlap(recipe.eval)}, {});
  const RankScoring exact(ranks, std::string(kExactDevice), val, {});
  score_finally(ranks, recipe, shipped.value(), val, exact, scoring, {});
  ranks.leave();
  return 0;
}

}  // namespace pg
