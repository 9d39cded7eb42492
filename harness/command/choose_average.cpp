#include "harness/command/choose_average.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>

#include "eval/score.h"
#include "harness/command/pack_steps.h"
#include "harness/command/run_steps.h"
#include "harness/record/code_features.h"
#include "src/model/model.h"
#include "src/train/average.h"

namespace pg {
namespace {

constexpr int64_t kCalibrationShare = 8;

Recipe with_short_calibration(Recipe recipe) {
  recipe.quant.calibration_tokens =
      std::max<int64_t>(1, recipe.quant.calibration_tokens / kCalibrationShare);
  return recipe;
}

// Windows like those of training.
EvalConfig held_out_windows(const Recipe& recipe) {
  EvalConfig eval = without_overlap(recipe.eval);
  eval.context = eval.stride = recipe.train.seq_len;
  eval.batch_tokens = recipe.train.micro_batch_tokens;
  return eval;
}

// The loss of weights as an artifact would hold them.
double measure_quantized(const TrialSetup& setup, const std::vector<HostTensor>& weights,
                         const Calibration& calibration, std::span<const int32_t> text,
                         const WorkProgressFn& progress) {
  const Recipe& recipe = setup.recipe;
  const QuantResult quantized = quantize_weights(recipe, weights, /*tokenizer_sha256=*/{},
                                                 calibration, setup.code_bytes, progress);
  std::vector<HostTensor> stored;
  for (size_t i = 0; i < weights.size(); ++i) {
    stored.push_back(dequantize(quantized.model.tensors[i], weights[i].spec));
  }
  return diagnose_loss(recipe.model, stored, setup.bytes, text, held_out_windows(recipe),
                       setup.device, setup.clock)
      .diagnostic_loss_nats;
}

}  // namespace

std::vector<AverageTrial> try_averages(const TrialSetup& setup, const TrainResult& trained,
                                       const WorkProgressFn& progress) {
  const std::vector<int32_t> text = setup.batches.read_held_out();
  const Calibration calibration =
      calibrate_weights(with_short_calibration(setup.recipe), trained.exported, setup.batches,
                        setup.device, progress);
  std::vector<AverageTrial> trials;
  const auto add = [&](const std::string& averaging, const std::vector<HostTensor>& weights) {
    if (progress) progress(fmt::format("average: {}", averaging));
    trials.push_back({averaging, measure_quantized(setup, weights, calibration, text, progress)});
  };
  add(trained.averaging, trained.exported);
  for (const AveragedWeights& other : trained.others) add(other.averaging, other.exported);
  return trials;
}

int64_t best_trial(const std::vector<AverageTrial>& trials) {
  return std::ranges::min_element(trials, {}, &AverageTrial::held_out_loss_nats) - trials.begin();
}

void take_average(TrainResult& trained, int64_t number) {
  if (number > 0) {
    AveragedWeights& other = trained.others[static_cast<size_t>(number - 1)];
    trained.averaging = std::move(other.averaging);
    trained.exported = std::move(other.exported);
  }
  trained.others.clear();
}

double rehearse_choice(const TrialSetup& setup) {
  const Recipe& recipe = setup.recipe;
  if (recipe.train.average != Average::kBest) return 0;
  const Recipe shorter = with_short_calibration(recipe);
  const double calibrate_s = rehearse_calibration(shorter, setup.device, setup.clock);
  Weights weights(setup.device, list_params(recipe.model), /*with_gradients=*/false);
  weights.initialise(static_cast<uint64_t>(recipe.train.seed));
  const std::vector<HostTensor> start = weights.download();
  const Calibration calibration = calibrate_in_rehearsal(recipe, start, setup.device);
  const std::vector<int32_t> text =
      make_rehearsal_ids(recipe.train.held_out_tokens, recipe.model.vocab_size);
  const double begin_s = setup.clock.now_s();
  measure_quantized(setup, start, calibration, text, {});
  const double trial_s = setup.clock.now_s() - begin_s;
  return calibrate_s + static_cast<double>(Averager::kBestOf) * trial_s;
}

}  // namespace pg
