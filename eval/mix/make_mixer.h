// From recipe keys to the expert that they name.
#pragma once
#include <cstdint>
#include <memory>

#include "eval/mix/mix_config.h"
#include "eval/mix/token_mixer.h"

namespace pg {

// <train_gpt>
// Throws Error for keys that contradict each other.
void check_mix_config(const MixConfig& config);
// </train_gpt>
// Null for kind = none: the network's distribution is scored as it is. Throws Error for keys that
// contradict each other.
std::unique_ptr<TokenMixer> make_mixer(const MixConfig& config, int64_t vocab_size,
                                       int64_t expected_tokens);

}  // namespace pg
