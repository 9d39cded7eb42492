// `train_gpt bench ...`: the words; what they measure is in harness/bench/.
#include "harness/bench/bench_eval.h"
#include "harness/bench/bench_ops_program.h"
#include "harness/bench/bench_pack.h"
#include "harness/bench/bench_train.h"
#include "harness/command/commands.h"

namespace pg {
namespace {

constexpr OptionRange kRepeats = {1, 1'000'000};

Option device_option(std::string& device) {
  return {.name = "--device", .value = &device, .help = "device to run on", .shows_default = true};
}

Option profile_option(bool& profile) {
  return {.name = "--profile", .value = &profile, .help = "time every op"};
}

std::vector<Option> list_train(BenchTrainOptions& o) {
  return {
      {.name = "--shape",
       .value = &o.shape,
       .help = "small, record (the 27M stack), cpu_10min_1mb, record_gpu (what one of eight GPUs "
               "does of a record step) or all the others",
       .shows_default = true},
      {.name = "--steps",
       .value = &o.steps,
       .help = "timed steps per shape",
       .shows_default = true,
       .range = kRepeats},
      {.name = "--leaves",
       .value = &o.leaves,
       .help = "gradient leaves of a step (train.gradient_leaves)",
       .shows_default = true,
       .range = kRepeats},
      device_option(o.device),
      profile_option(o.profile),
      {.name = "--json", .value = &o.json, .help = "one JSON object a shape instead of the table"},
  };
}

std::vector<Option> list_pack(BenchPackOptions& o) {
  return {
      {.name = "artifact", .value = &o.artifacts, .help = "final_model.int6.bin; repeatable"},
      {.name = "--synthetic", .value = &o.synthetic, .help = "36M Gaussian codes as well"},
      {.name = "--no-lrzip", .value = &o.no_lrzip, .help = "leave out the slowest of the others"},
  };
}

std::vector<Option> list_eval(BenchEvalOptions& o) {
  return {
      {.name = "--passes",
       .value = &o.passes,
       .help = "timed passes of each kind",
       .shows_default = true,
       .range = kRepeats},
      device_option(o.device),
      profile_option(o.profile),
  };
}

std::vector<Option> list_ops(BenchOpsOptions& o) {
  return {
      device_option(o.device),
      {.name = "--filter",
       .value = &o.filter,
       .help = "only cases with this text in \"op [shape]\""},
      {.name = "--once", .value = &o.once, .help = "one run a case: whether, not how fast"},
      {.name = "--json", .value = &o.json, .help = "one JSON object a line instead of the table"},
  };
}

}  // namespace

Command make_bench_train_command() {
  return make_command<BenchTrainOptions>(
      "bench train", "time training steps on random tokens", list_train,
      [](const BenchTrainOptions& options, Clock&) { return run_bench_train(options); });
}

Command make_bench_pack_command() {
  return make_command<BenchPackOptions>(
      "bench pack", "the weight coder against general compressors on artifacts", list_pack,
      [](const BenchPackOptions& options, Clock&) { return run_bench_pack(options); });
}

Command make_bench_eval_command() {
  return make_command<BenchEvalOptions>(
      "bench eval", "time the forward passes of scoring", list_eval,
      [](const BenchEvalOptions& options, Clock&) { return run_bench_eval(options); });
}

Command make_bench_ops_command() {
  return make_command<BenchOpsOptions>(
      "bench ops", "time every op over the cases of the op test", list_ops,
      [](const BenchOpsOptions& options, Clock&) { return run_bench_ops(options); });
}

}  // namespace pg
