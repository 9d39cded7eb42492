#include "src/train/phases.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "src/base/error.h"
#include "src/train/packed_spans.h"

namespace pg {

Phases::Phases(const ModelConfig& model, const TrainConfig& train)
    : model_(model), loops_from_(train.loop_from), stages_(list_length_stages(train)) {
  constexpr double kNever = -std::numeric_limits<double>::infinity();
  bag_ = train.bag_targets;
  const bool has_bags = train.bag_inputs && bag_ > 1;
  bags_until_ = has_bags ? train.bag_fraction : kNever;
  is_iso_data_ = train.bag_iso_data;
  is_reset_ = has_bags && train.bag_reset;
  steps_ = {.bags_ended = has_bags && bags_until_ > 0 ? -1 : 0,
            .loops_began = loops_from_ > 0 ? -1 : 0};
}

std::string Phases::advance(int64_t steps_done, double fraction, double elapsed_s) {
  std::string lines;
  if (steps_.bags_ended < 0 && fraction >= bags_until_) {
    steps_.bags_ended = steps_done;
    steps_.bags_ended_s = elapsed_s;
    lines = fmt::format("token_superposition:ended step:{} frac:{:.3f} bag:{}", steps_done,
                        fraction, bag_);
  }
  if (steps_.loops_began < 0 && fraction >= loops_from_) {
    steps_.loops_began = steps_done;
    if (!lines.empty()) lines += '\n';
    lines += describe_loop(steps_done, fraction);
  }
  int64_t& at = steps_.length_stage;
  const int64_t stage_before = at;
  while (at + 1 < std::ssize(stages_) && fraction >= stage(now()).until) ++at;
  if (at != stage_before) {
    if (!lines.empty()) lines += '\n';
    lines += fmt::format("seq_len:{} step:{} frac:{:.3f}", seq_len(now()), steps_done, fraction);
  }
  return lines;
}

// In the records' form.
std::string Phases::describe_loop(int64_t steps_done, double fraction) const {
  std::vector<int64_t> encoder, decoder;
  const int64_t runs = model_.layers + loop_runs(model_);
  for (int64_t run = 0; run < runs; ++run) {
    (run < runs / 2 ? encoder : decoder).push_back(block_of_run(model_, run));
  }
  return fmt::format("layer_loop:enabled step:{} frac:{:.3f} encoder:[{}] decoder:[{}]", steps_done,
                     fraction, fmt::join(encoder, ", "), fmt::join(decoder, ", "));
}

std::vector<Phase> Phases::list() const {
  std::vector<Phase> phases;
  for (const auto& [bags, loops] :
       {std::pair{false, true}, {true, true}, {false, false}, {true, false}}) {
    for (int64_t i = std::ssize(stages_); i-- > 0;) {
      const Phase phase = {bags, loops, i};
      if (can_occur(phase)) phases.push_back(phase);
    }
  }
  return phases;
}

bool Phases::can_occur(const Phase& phase) const {
  // Of stages, whether the loop's part and its own have any in common.
  const double stage_from =
      phase.length_stage > 0 ? stages_[static_cast<size_t>(phase.length_stage - 1)].until : 0.0;
  const bool is_last = phase.length_stage + 1 == std::ssize(stages_);
  if (phase.is_looped && !is_last && loops_from_ >= stage(phase).until) return false;
  if (!phase.is_looped && loops_from_ <= stage_from) return false;
  const bool bags_come_first = bags_until_ > 0;
  if (phase.is_bagged && phase.is_looped) return bags_come_first && loops_from_ < bags_until_;
  if (phase.is_bagged) return bags_come_first && loops_from_ > 0;
  // The last phase has a plan even where training may end before it.
  return phase.is_looped || (loops_from_ > 0 && loops_from_ > bags_until_);
}

double Phases::slowdown_to_come(const Phase& phase) const {
  double slowdown = 1;
  // What is not in blocks is the same, so this is more than it can be.
  if (!phase.is_looped) {
    slowdown =
        static_cast<double>(model_.layers + loop_runs(model_)) / static_cast<double>(model_.layers);
  }
  if (phase.is_bagged && is_iso_data_) slowdown *= static_cast<double>(bag_);
  return slowdown * work_of_a_token(stages_.back()) / work_of_a_token(stage(phase));
}

// Multiply-adds of a token, of all parameters and of attention to half a sequence; those of attention
// count twice, because its products are the slower ones.
double Phases::work_of_a_token(const LengthStage& stage) const {
  const double pairs = static_cast<double>((model_.layers + loop_runs(model_)) * model_.dim) *
                       static_cast<double>(stage.seq_len);
  return static_cast<double>(count_params(model_)) + 2 * pairs;
}

double Phases::fraction_of_bags(double fraction) const {
  if (bags_until_ <= 0) return fraction;
  return now().is_bagged ? std::min(fraction, 0.0) : std::max(fraction, bags_until_);
}

int64_t Phases::rows(const Phase& phase, int64_t plain_rows) const {
  const int64_t rows = plain_rows * stages_.back().seq_len / seq_len(phase);
  return phase.is_bagged && is_iso_data_ ? rows / bag_ : rows;
}

int64_t Phases::windows_used(int64_t steps_done, int64_t plain_rows) const {
  const int64_t bagged =
      steps_.bags_ended < 0 ? steps_done : std::min(steps_done, steps_.bags_ended);
  const Phase bags = {.is_bagged = true, .length_stage = std::ssize(stages_) - 1};
  return bagged * rows(bags, plain_rows) * bag_ + (steps_done - bagged) * plain_rows;
}

int64_t Phases::first_row(int64_t steps_done, int64_t plain_rows) const {
  if (now().is_bagged) return steps_done * rows(now(), plain_rows);
  return windows_used(steps_done, plain_rows) * stages_.back().seq_len / seq_len(now());
}

namespace {

// Of "2,4" the numbers below `end`.
std::string list_below(const std::string& text, int64_t end) {
  std::vector<int64_t> numbers = read_layers(text);
  std::erase_if(numbers, [end](int64_t number) { return number >= end; });
  return fmt::format("{}", fmt::join(numbers, ","));
}

}  // namespace

ModelConfig model_in_phase(const ModelConfig& model, const Phase& phase) {
  ModelConfig config = model;
  if (phase.is_looped) return config;
  config.loop_passes = 1;
  config.mudd_at = list_below(model.mudd_at, model.layers);
  config.mudd_local_at = list_below(model.mudd_local_at, model.layers);
  config.mudd_value_at = list_below(model.mudd_value_at, model.layers - 1);
  return config;
}

StepSchedule schedule_in_phase(const Phases& phases, const TrainConfig& train,
                               const OptimizerConfig& optimizer, int64_t steps_done,
                               double elapsed_s, double end_s) {
  StepSchedule schedule = schedule_step(train, optimizer, steps_done, elapsed_s, end_s);
  const int64_t forgotten = phases.forgotten_steps();
  if (forgotten == 0) return schedule;
  constexpr double kLeast_s = 1e-9;  // 0 would say that there is no end
  const double ended_s = phases.steps().bags_ended_s;
  TrainConfig rest = train;
  rest.max_steps -= forgotten;
  const StepSchedule anew =
      schedule_step(rest, optimizer, steps_done - forgotten, elapsed_s - ended_s,
                    end_s > 0 ? std::max(end_s - ended_s, kLeast_s) : 0.0);
  schedule.lr_multiplier = anew.lr_multiplier;
  schedule.warmdown = anew.warmdown;
  return schedule;
}

namespace {

void check_lengths(const TrainConfig& train, Loader loader) {
  const std::vector<LengthStage> stages = list_length_stages(train);
  if (stages.size() == 1) return;
  const int64_t ahead =
      std::max({train.bag_targets - 1, train.future_targets, train.mtp_heads, train.mtp_modules});
  if (ahead >= stages.front().seq_len) {
    throw Error(fmt::format(
        "train.seq_len_growth begins with sequences of \"{}\", and a position predicts {} tokens; "
        "begin with longer ones, or lower train.bag_targets, future_targets, mtp_heads or "
        "mtp_modules",
        stages.front().seq_len, ahead + 1));
  }
  const std::pair<const char*, bool> one_length[] = {
      {"train.bag_inputs", train.bag_inputs && train.bag_targets > 1},
      {"train.complement_alpha", train.complement_alpha > 0 && loader != Loader::kPacked}};
  for (const auto& [key, is_on] : one_length) {
    if (!is_on) continue;
    throw Error(
        fmt::format("{} is of windows of one length, which train.seq_len_growth changes; switch "
                    "one of the two off",
                    key));
  }
  for (const LengthStage& stage : stages) {
    if (loader == Loader::kPacked || train.micro_batch_tokens % stage.seq_len == 0) continue;
    throw Error(
        fmt::format("train.seq_len_growth has sequences of \"{}\", which do not divide "
                    "train.micro_batch_tokens \"{}\"; give a multiple of every length, or "
                    "data.loader = \"packed\"",
                    stage.seq_len, train.micro_batch_tokens));
  }
}

}  // namespace

void check_phases(const ModelConfig& model, const TrainConfig& train, Loader loader) {
  check_lengths(train, loader);
  if (loader == Loader::kPacked) check_packing(model, train);
  if (train.loop_from > 0 && model.loop_passes == 1) {
    throw Error(
        fmt::format("train.loop_from is \"{}\", but with a model.loop_passes of 1 no block runs "
                    "several times; give 0, or more passes",
                    train.loop_from));
  }
  if (!train.bag_inputs) {
    if (!train.bag_iso_data && !train.bag_reset) return;
    throw Error(fmt::format("train.{} is for train.bag_inputs; switch both on, or neither",
                            train.bag_iso_data ? "bag_iso_data" : "bag_reset"));
  }
  if (train.bag_targets == 1) return;
  if (train.prefix_weight > 0) {
    throw Error(fmt::format(
        "train.prefix_weight is \"{}\", but a position that reads train.bag_inputs has no "
        "single next token; give 0, or switch bag_inputs off",
        train.prefix_weight));
  }
  const std::pair<const char*, bool> single_tokens[] = {
      {"train.complement_alpha", train.complement_alpha > 0},
      {"model.token_smear", model.token_smear}};
  for (const auto& [key, is_on] : single_tokens) {
    if (!is_on) continue;
    throw Error(
        fmt::format("{} works on single tokens, which a position that reads train.bag_inputs has "
                    "not; switch one of the two off",
                    key));
  }
  const int64_t rows = train.micro_batch_tokens / train.seq_len;
  if (train.bag_iso_data && rows % train.bag_targets != 0) {
    throw Error(fmt::format(
        "train.bag_iso_data: the {} rows of a micro-batch (micro_batch_tokens / seq_len) "
        "are no multiple of train.bag_targets \"{}\"; give another of the three",
        rows, train.bag_targets));
  }
}

}  // namespace pg
