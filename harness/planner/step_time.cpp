#include "harness/planner/step_time.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "harness/bench/shape_device.h"
#include "src/device/op_table/op_list.h"
#include "src/model/forward.h"
#include "src/model/model.h"
#include "src/train/loss_targets.h"
#include "src/train/optimizer.h"
#include "src/train/trainer.h"
#include "src/train/training_params.h"

namespace pg {
namespace {

constexpr int64_t kFractions = 1000;  // of the budget, in each of which the phase is one
constexpr double kBytesOfBf16 = 2;
// Kernels and products of a call of an op in a step of test-time training: 433 of 315, what updates the
// weights included (step_launches_test.cpp).
constexpr double kLaunchesOfACall = 1.4;

using Unit = WorkPart::Unit;

// What a plan asks for, a token that it reads.
struct WorkOfAToken {
  double linear = 0, linear_backward = 0, attention = 0, attention_backward = 0;  // FLOP
  double bytes = 0;        // of ops that memory bounds
  double block_bytes = 0;  // those of blocks
  int64_t block_runs = 0;
  int64_t calls = 0;  // of ops, in a run
};

WorkOfAToken count_work(const ModelPlan& plan, const ModelConfig& model, int64_t tokens) {
  WorkOfAToken work;
  const std::vector<OpProfile> ops = plan.plan().count_work();
  const auto flops = [&](OpId op) {
    return ops[static_cast<size_t>(op)].flops / static_cast<double>(tokens);
  };
  work.linear = flops(OpId::kLinear);
  work.linear_backward = flops(OpId::kLinearDx) + flops(OpId::kLinearDw);
  work.attention = flops(OpId::kAttention);
  work.attention_backward = flops(OpId::kAttentionBackward);
  work.bytes = plan.plan().memory_bound_bytes(/*of_blocks=*/false) / static_cast<double>(tokens);
  work.block_bytes =
      plan.plan().memory_bound_bytes(/*of_blocks=*/true) / static_cast<double>(tokens);
  work.block_runs = model.layers + loop_runs(model);
  for (const OpProfile& op : ops) work.calls += op.calls;
  return work;
}

// trained_bytes: what a training step's blocks take, where the rates state passes of such a step; what
// only goes forward takes its share of them.
std::vector<WorkPart> list_parts(const WorkOfAToken& work, const ModelConfig& model,
                                 const KernelRates& rates, double tokens, double trained_bytes) {
  double bytes = work.bytes;
  if (rates.passes_of_a_block > 0) {
    const double stated =
        rates.passes_of_a_block * kBytesOfBf16 * static_cast<double>(work.block_runs * model.dim);
    bytes += work.block_bytes * (stated / trained_bytes - 1);
  }
  std::vector<WorkPart> parts = {
      {"products", tokens * work.linear, Unit::kFlop, rates.linear_flops_per_s},
      {"products, backward", tokens * work.linear_backward, Unit::kFlop,
       rates.linear_backward_flops_per_s},
      {"attention", tokens * work.attention, Unit::kFlop, rates.attention_flops_per_s},
      {"attention, backward", tokens * work.attention_backward, Unit::kFlop,
       rates.attention_backward_flops_per_s},
      {"passes over memory", tokens * bytes, Unit::kBytes, rates.pass_bytes_per_s}};
  std::erase_if(parts, [](const WorkPart& part) { return part.amount == 0; });
  return parts;
}

double sum_seconds(const std::vector<WorkPart>& parts) {
  double seconds = 0;
  for (const WorkPart& part : parts) seconds += part.seconds();
  return seconds;
}

// Newton-Schulz and AdamW of a rank, and the exchange between ranks.
std::vector<WorkPart> list_update_parts(const Recipe& recipe, Weights& weights,
                                        const Hardware& hardware, const KernelRates& rates) {
  const auto ranks = static_cast<int>(hardware.gpus);
  double flops = 0;
  for (int rank = 0; rank < ranks; ++rank) {
    flops = std::max(flops, Optimizer(weights, recipe.optimizer, rank, ranks).flops_per_step());
  }
  const auto params = static_cast<double>(weights.flat_elements());
  // Gradient, momentum and master are read, the latter two written, in fp32, and the compute copy.
  const double bytes = params / ranks * (5 * 4 + kBytesOfBf16);
  std::vector<WorkPart> parts = {
      {"Newton-Schulz", flops, Unit::kFlop, rates.optimizer_flops_per_s},
      {"optimizer's passes", bytes, Unit::kBytes, rates.pass_bytes_per_s}};
  if (ranks > 1) {
    parts.push_back(
        {"exchange between GPUs", params * kBytesOfBf16, Unit::kBytes, rates.exchange_bytes_per_s});
  }
  return parts;
}

std::string describe_phase(const Phase& phase, const Phases& phases, const Recipe& recipe) {
  std::vector<std::string> names;
  if (recipe.train.loop_from > 0) names.push_back(phase.is_looped ? "with loops" : "before loops");
  if (recipe.train.bag_inputs && recipe.train.bag_targets > 1) {
    names.push_back(phase.is_bagged ? "of bags" : "behind bags");
  }
  if (!recipe.train.seq_len_growth.empty()) {
    names.push_back(fmt::format("of {} tokens a sequence", phases.seq_len(phase)));
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

// SGD on each chunk but the last.
void add_learning(const Recipe& recipe, const Hardware& hardware, const KernelRates& rates,
                  Weights& weights, ScoringTime& time) {
  const TttConfig& ttt = recipe.ttt;
  const int64_t context = recipe.eval.context, leaves = ttt.gradient_leaves;
  const int64_t rows = std::max<int64_t>(1, ttt.batch_tokens / context);
  const int64_t share = leaves % hardware.gpus == 0 ? hardware.gpus : 1;
  const ModelPlan plan(recipe.model, weights, rows / leaves, context, PlanMode::kTrain);
  const WorkOfAToken work = count_work(plan, recipe.model, rows / leaves * context);
  const int64_t tokens = std::min(ttt.chunk_tokens, rows * context);
  const double own_tokens = static_cast<double>(tokens) / static_cast<double>(share);
  std::vector<WorkPart>& parts = time.learning.parts;
  parts = list_parts(work, recipe.model, rates, own_tokens, work.block_bytes);
  const auto params = static_cast<double>(weights.flat_elements());
  // As in training: gradient, momentum and master, of which two are written, and the compute copy.
  parts.push_back(
      {"SGD's passes", params * (5 * 4 + kBytesOfBf16), Unit::kBytes, rates.pass_bytes_per_s});
  if (share > 1) {
    parts.push_back(
        {"exchange between GPUs, f32", params * 4, Unit::kBytes, rates.exchange_bytes_per_s});
  }
  if (rates.launches_per_s > 0) {
    const double runs = static_cast<double>(leaves) / static_cast<double>(share);
    parts.push_back({"launches", kLaunchesOfACall * static_cast<double>(work.calls) * runs,
                     Unit::kLaunches, rates.launches_per_s});
  }
  time.learning.host_share = rates.host_share;
  const int64_t chunks = (time.tokens + ttt.chunk_tokens - 1) / ttt.chunk_tokens;
  time.learning_steps =
      std::max<int64_t>(chunks - 1, 0) * ttt.epochs * ((ttt.chunk_tokens + tokens - 1) / tokens);
}

}  // namespace

double StepTime::seconds() const { return sum_seconds(parts) / (1 - host_share); }
double ScoringTime::seconds() const {
  return sum_seconds(parts) + static_cast<double>(learning_steps) * learning.seconds();
}

TrainingTime predict_training(const Recipe& recipe, const Hardware& hardware,
                              const KernelRates& rates) {
  const TrainConfig& train = recipe.train;
  check_batches(train, hardware.gpus);
  const int64_t micro_batches = train.batch_tokens / train.micro_batch_tokens;
  const auto device = make_shape_device("cpu:bf16");
  Weights weights(*device, list_training_params(recipe.model, train), /*with_gradients=*/true);
  const std::vector<WorkPart> update = list_update_parts(recipe, weights, hardware, rates);
  const int64_t plain_rows = train.micro_batch_tokens / train.seq_len;

  const auto time_step = [&](const Phases& phases, const Phase& phase) {
    const ModelConfig model = model_in_phase(recipe.model, phase);
    const int64_t bag = phases.bag(phase), seq_len = phases.seq_len(phase);
    const bool is_packed = recipe.data.loader == Loader::kPacked;
    const int64_t rows = is_packed ? 1 : phases.rows(phase, plain_rows);
    const int64_t row_tokens = is_packed ? train.micro_batch_tokens : seq_len;
    const ForwardOptions options = {.targets = count_targets(train),
                                    .has_row_weights = train.complement_alpha > 0,
                                    .terms = list_loss_terms(train, bag),
                                    .bag = bag,
                                    .longest_sequence = is_packed ? seq_len : 0};
    const ModelPlan plan(model, weights, rows, row_tokens, PlanMode::kTrain, options);
    const double tokens =
        static_cast<double>(rows * row_tokens * micro_batches) / static_cast<double>(hardware.gpus);
    const WorkOfAToken work = count_work(plan, model, rows * row_tokens);
    StepTime step = {describe_phase(phase, phases, recipe),
                     list_parts(work, model, rates, tokens, work.block_bytes), rates.host_share};
    step.parts.insert(step.parts.end(), update.begin(), update.end());
    return step;
  };

  // The budget in small parts, each at the step time of its phase.
  TrainingTime result;
  Phases phases(recipe.model, train);
  std::vector<std::pair<Phase, size_t>> timed;
  double steps = 0;
  const double budget_s = train.wallclock_s > 0 ? train.wallclock_s - train.reserve_s : 0;
  for (int64_t i = 0; i < kFractions; ++i) {
    const double fraction = static_cast<double>(i) / kFractions;
    phases.advance(std::llround(steps), fraction, fraction * budget_s);
    auto found = std::find_if(timed.begin(), timed.end(),
                              [&](const auto& t) { return t.first == phases.now(); });
    if (found == timed.end()) {
      result.steps.push_back(time_step(phases, phases.now()));
      timed.emplace_back(phases.now(), result.steps.size() - 1);
      found = timed.end() - 1;
    }
    const double step_s = result.steps[found->second].seconds();
    const double part = budget_s > 0 ? budget_s / kFractions / step_s
                                     : static_cast<double>(train.max_steps) / kFractions;
    const double left = std::max(0.0, static_cast<double>(train.max_steps) - steps);
    steps += std::min(part, left);
    result.training_s += std::min(part, left) * step_s;
  }
  result.step_count = std::llround(std::floor(steps));
  result.tokens = result.step_count * train.batch_tokens;
  return result;
}

ScoringTime predict_scoring(const Recipe& recipe, const Hardware& hardware,
                            const KernelRates& rates, int64_t tokens) {
  const EvalConfig& eval = recipe.eval;
  const TttConfig& ttt = recipe.ttt;
  const auto device = make_shape_device("cpu:bf16");
  Weights weights(*device, list_params(recipe.model), /*with_gradients=*/true);
  const int64_t rows = std::max<int64_t>(1, eval.batch_tokens / eval.context);
  const ModelPlan plan(recipe.model, weights, rows, eval.context, PlanMode::kLogProbs,
                       std::min(eval.stride, eval.context));
  ScoringTime time;
  time.tokens = tokens;
  time.is_whole = recipe.mix.kind == MixKind::kNone &&
                  (ttt.kind == TttKind::kNone || ttt.kind == TttKind::kSgd);
  time.windows = (tokens + eval.stride - 1) / eval.stride;
  const double read =
      static_cast<double>(time.windows * eval.context) / static_cast<double>(hardware.gpus);
  const ModelPlan learning(recipe.model, weights, rows, eval.context, PlanMode::kTrain);
  const WorkOfAToken trained = count_work(learning, recipe.model, rows * eval.context);
  time.parts = list_parts(count_work(plan, recipe.model, rows * eval.context), recipe.model, rates,
                          read, trained.block_bytes);
  if (ttt.kind == TttKind::kSgd) add_learning(recipe, hardware, rates, weights, time);
  return time;
}

}  // namespace pg
