#include "eval/make_scorer.h"

#include <algorithm>

#include "eval/learn/make_learner.h"
#include "eval/mix/make_mixer.h"

namespace pg {

EvalConfig fit_batch(EvalConfig config, int64_t tokens, const WindowShare* share) {
  check_window_shape({config.context, config.stride});
  const int64_t beyond_first = std::max<int64_t>(0, tokens - 1 - config.context);
  const int64_t windows = 1 + (beyond_first + config.stride - 1) / config.stride;
  const int64_t ranks = share == nullptr ? 1 : share->ranks();
  const int64_t windows_of_a_rank = (windows + ranks - 1) / ranks;
  config.batch_tokens = std::min(config.batch_tokens, windows_of_a_rank * config.context);
  return config;
}

std::unique_ptr<NetworkScorer> make_scorer(const UnpackedModel& model, const ScoringConfig& config,
                                           Device& device, int64_t tokens, WindowShare* share) {
  const EvalConfig fitted = fit_batch(config.eval, tokens, share);
  const bool mixes = share == nullptr || share->rank() == 0;
  return std::make_unique<NetworkScorer>(
      model, fitted, device,
      mixes ? make_mixer(config.mix, model.config().vocab_size, tokens) : nullptr,
      make_learner(config.ttt, model.config(), fitted, tokens), share);
}

}  // namespace pg
