#include "eval/mix/make_mixer.h"

#include <bit>
#include <string>

// <parts>
#include "eval/mix/cascade_mixer.h"
// </parts>
#include "eval/mix/ngram_mixer.h"
// <parts>
#include "eval/mix/ppm_mixer.h"
// </parts>
#include "eval/mix/tilt_mixer.h"
#include "src/base/check.h"
#include "src/base/error.h"

namespace pg {

void check_mix_config(const MixConfig& config) {
  if (config.min_order > config.max_order) {
    throw Error("shortest n-grams are longer than the longest: \"" +
                std::to_string(config.min_order) + "\"; set mix.min_order to at most " +
                std::to_string(config.max_order));
  }
  if (config.linear_base + config.linear_range > 1) {
    throw Error("the n-grams' weight passes 1: \"" +
                std::to_string(config.linear_base + config.linear_range) +
                "\"; lower mix.linear_base or mix.linear_range");
  }
  // <parts>
  if (std::popcount(static_cast<uint64_t>(config.cascade_buckets)) != 1) {
    throw Error("hashed counts are no power of two: \"" + std::to_string(config.cascade_buckets) +
                "\"; set mix.cascade_buckets to 4194304");
  }
  // </parts>
}

std::unique_ptr<TokenMixer> make_mixer(const MixConfig& config, int64_t vocab_size,
                                       int64_t expected_tokens) {
  PG_CHECK(vocab_size >= 1 && vocab_size <= 65536, "tokens are 16 bits");
  check_mix_config(config);
  switch (config.kind) {
    case MixKind::kNone:
      break;
    case MixKind::kTilt:
      return std::make_unique<TiltMixer>(config, expected_tokens);
    case MixKind::kLinear:
      return std::make_unique<LinearMixer>(config, vocab_size, expected_tokens);
    case MixKind::kLogit:
      return std::make_unique<LogitMixer>(config, vocab_size, expected_tokens);
    // <parts>
    case MixKind::kCascade:
      return std::make_unique<CascadeMixer>(config, vocab_size);
    case MixKind::kPpm:
      return std::make_unique<PpmMixer>(config, vocab_size, expected_tokens);
      // </parts>
  }
  return nullptr;
}

}  // namespace pg
