// `train_gpt plan`: what a recipe would take on a machine that is not here.
#include <fmt/format.h>

#include "harness/command/commands.h"
#include "harness/command/recipe_path.h"
#include "harness/planner/step_time.h"
#include "harness/planner/training_memory.h"
#include "harness/recipe/recipe.h"
#include "src/base/error.h"
#include "src/text/text_format.h"

namespace pg {
namespace {

constexpr int64_t kSeeds = 3;  // that the challenge asks for

struct PlanWords {
  std::filesystem::path recipe;
  std::vector<std::string> sets;
  std::string hardware = "8xh100", kernels = "own";
  int64_t val_tokens = 0;
};

std::vector<Option> list_options(PlanWords& w) {
  return {
      {.name = "recipe",
       .value = &w.recipe,
       .help = "recipe.toml, or a folder that has one",
       .is_required = true},
      {.name = "--hardware", .value = &w.hardware, .help = "1xh100, 2xh100, 4xh100 or 8xh100"},
      {.name = "--kernels",
       .value = &w.kernels,
       .help =
           "whose: own, as measured; cudnn, the same plan by the fastest public rates; public, the "
           "public scripts'"},
      {.name = "--val-tokens",
       .value = &w.val_tokens,
       .help = "tokens to score; default the challenge's validation text, for vocabularies of 1024 "
               "and 8192",
       .range = OptionRange{1, INT64_MAX}},
      set_option(w.sets),
  };
}

// Of the whole validation text of FineWeb, as the challenge cuts it.
int64_t count_val_tokens(int64_t vocab_size) {
  if (vocab_size == 1024) return 62'021'846;
  if (vocab_size == 8192) return 40'540'803;
  return 0;
}

void print_parts(const std::vector<WorkPart>& parts) {
  for (const WorkPart& part : parts) {
    const bool is_bytes = part.unit == WorkPart::Unit::kBytes;
    if (part.unit == WorkPart::Unit::kLaunches) {
      fmt::print("  {:<42}{:>10.0f} launches, {:.2f} us each {:>11.2f} ms\n", part.what,
                 part.amount, 1e6 / part.rate, 1e3 * part.seconds());
      continue;
    }
    const char* unit = is_bytes ? "GB" : "TFLOP";
    const double scale = is_bytes ? 1e9 : 1e12;
    fmt::print("  {:<42}{:>10.2f} {:<5} at {:>6.0f} {}/s{:>10.2f} ms\n", part.what,
               part.amount / scale, unit, part.rate / scale, unit, 1e3 * part.seconds());
  }
}

void print_training(const Recipe& recipe, const TrainingTime& time) {
  for (const StepTime& step : time.steps) {
    fmt::print("a step{}{}, on each GPU\n", step.phase.empty() ? "" : " ", step.phase);
    print_parts(step.parts);
    if (step.host_share > 0) {
      fmt::print("  {:<76}{:>4.2f} ms\n", "launches that the GPU waits for",
                 1e3 * step.seconds() * step.host_share);
    }
    fmt::print("  {:<70}{:>10.2f} ms\n", "in all", 1e3 * step.seconds());
  }
  fmt::print("training      {:.0f} s: {} steps, {} tokens\n", time.training_s,
             format_thousands(time.step_count), format_count(static_cast<double>(time.tokens)));
  if (recipe.train.wallclock_s > 0 && recipe.train.reserve_s == 0) {
    fmt::print("              what calibration takes comes off; train.reserve_s would say\n");
  }
}

void print_learning(const ScoringTime& time) {
  if (time.learning_steps == 0) return;
  fmt::print("a step of test-time training, on each GPU\n");
  print_parts(time.learning.parts);
  fmt::print("  {:<70}{:>10.2f} ms\n", "in all", 1e3 * time.learning.seconds());
  fmt::print("              {:.0f} s: {} steps\n",
             static_cast<double>(time.learning_steps) * time.learning.seconds(),
             format_thousands(time.learning_steps));
}

void print_memory(const TrainingMemory& memory, const Hardware& hardware) {
  const auto gb = [](int64_t bytes) { return static_cast<double>(bytes) / 1e9; };
  fmt::print(
      "memory        {:.2f} GB of {:.0f} on each GPU: weights and gradients {:.2f}, optimizer "
      "{:.2f}, "
      "average {:.2f}, leaves {:.2f}, activations of a micro-batch {:.2f}\n",
      gb(memory.total()), gb(hardware.memory_bytes), gb(memory.weights_bytes),
      gb(memory.optimizer_bytes), gb(memory.average_bytes), gb(memory.leaf_bytes),
      gb(memory.activation_bytes));
  if (memory.total() > hardware.memory_bytes) {
    throw Error(
        fmt::format("plan: {:.1f} GB are needed on each GPU, which has {:.1f}; lower "
                    "train.micro_batch_tokens or train.gradient_leaves",
                    gb(memory.total()), gb(hardware.memory_bytes)));
  }
}

int plan_recipe(const PlanWords& words, Clock&) {
  const Recipe recipe =
      load_recipe_and_environment(find_recipe_file(words.recipe), words.sets).recipe;
  check_recipe(recipe);
  const Hardware& hardware = find_hardware(words.hardware);
  const KernelRates& rates = find_kernel_rates(words.kernels);
  fmt::print("{} on {}; kernels: {}\n", recipe.record.name, hardware.name, rates.source);
  const TrainingTime training = predict_training(recipe, hardware, rates);
  print_training(recipe, training);
  print_memory(predict_memory(recipe, hardware.gpus), hardware);

  double seconds = recipe.train.wallclock_s > 0 ? recipe.train.wallclock_s : training.training_s;
  const int64_t tokens =
      words.val_tokens > 0 ? words.val_tokens : count_val_tokens(recipe.model.vocab_size);
  if (tokens > 0) {
    const ScoringTime scoring = predict_scoring(recipe, hardware, rates, tokens);
    fmt::print("evaluation    {:.0f} s: {} tokens in windows of {} every {}{}\n", scoring.seconds(),
               format_thousands(tokens), recipe.eval.context, recipe.eval.stride,
               scoring.is_whole ? "" : "; without what learns or mixes while scoring");
    print_parts(scoring.parts);
    print_learning(scoring);
    seconds += scoring.seconds();
  } else {
    fmt::print("evaluation    not known: give --val-tokens for a vocabulary of {}\n",
               recipe.model.vocab_size);
  }
  const double dollars = seconds / 3600 * hardware.dollars_per_hour;
  fmt::print("money         ${:.2f} a run at ${:.2f} an hour, ${:.2f} for {} seeds\n", dollars,
             hardware.dollars_per_hour, dollars * kSeeds, kSeeds);
  return 0;
}

}  // namespace

Command make_plan_command() {
  return make_command<PlanWords>(
      "plan", "step time, memory, steps, evaluation and money on a machine that is not here",
      list_options, plan_recipe);
}

}  // namespace pg
