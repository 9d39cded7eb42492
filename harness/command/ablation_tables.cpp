#include "harness/command/ablation_tables.h"

#include <fmt/format.h>

#include "harness/command/run_series.h"
#include "harness/command/step_flops.h"
#include "harness/record/code_features.h"
#include "quant/method/pack_estimate.h"
#include "src/device/registry/make_device.h"
#include "src/model/model.h"
#include "src/text/text_format.h"

namespace pg {

void print_ablation_plan(const std::vector<const PlannedArm*>& arms, const std::string& device) {
  const StepFlops flops = {make_device(device)->measure_peak()};
  fmt::print("{:<28} {:>8}{:>10}{:>8}{:>10}{:>12}{:>12}\n", "arm", "steps", "tokens", "seeds",
             "params", "bytes", "training");
  double sum_s = 0;
  for (const PlannedArm* arm : arms) {
    const Recipe& recipe = arm->recipe;
    const CodeSizes code = code_sizes(recipe.model, recipe.scoring());
    const double train_s = flops.estimate_training_s(recipe);
    sum_s += train_s * static_cast<double>(arm->seeds.size());
    fmt::print("{:<28} {:>8}{:>10}{:>8}{:>10}{:>12}{:>12}\n", arm->name,
               arm->steps > 0 ? fmt::format("{}", arm->steps) : "measured",
               arm->steps > 0 ? format_count(static_cast<double>(arm->tokens)) : "",
               arm->seeds.size(), format_count(static_cast<double>(count_params(recipe.model))),
               format_thousands(forecast_pack(recipe.model, recipe.quant, code).likely_bytes),
               format_duration(train_s));
  }
  fmt::print(
      "training {} in all, at {:.0f} % of this machine's product peak; packing and scoring come on "
      "top. Bytes: before the cap is filled\n",
      format_duration(sum_s), 100 * StepFlops::kShareOfPeak);
}

void print_ablation_results(const AblationResults& results) {
  for (const ArmResult& result : results.arms) {
    if (!result.bits_per_byte) continue;
    const std::string says =
        result.arm->is_base()
            ? fmt::format("std {:.6f} of {}", result.bits_per_byte->sample_std, result.runs.size())
            : describe_learnt(result);
    fmt::print("{:<28} {:.6f}  {}\n", result.arm->name, result.bits_per_byte->mean, says);
  }
  fmt::print("{} of {} runs are finished\n", results.finished_runs(), results.planned_runs());
}

}  // namespace pg
