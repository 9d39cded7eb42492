// Text from an artifact's model: tokens one by one, each from a forward pass over the window so
// far.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "quant/format/unpack.h"
#include "src/device/device.h"

namespace pg {

struct GenerateOptions {
  int64_t tokens = 100;      // to generate
  int64_t context = 1024;    // the newest tokens that the model sees
  double temperature = 1.0;  // 0: always the likeliest token
  int64_t top_k = 0;         // draw from the k likeliest; 0: from all
  double top_p = 1.0;        // draw from the likeliest whose probabilities reach p; 1: from all
  uint64_t seed = 0;
};

// Hears of each token as it comes; false stops. May be empty.
using OnTokenFn = std::function<bool(int32_t id)>;

// The ids that follow the prompt, at most options.tokens of them. Give
// TextCodec::encode_document(text) as prompt: a document begins with BOS. Throws Error on options
// out of range, an empty prompt, or an id outside the vocabulary.
std::vector<int32_t> generate(const UnpackedModel& model, std::span<const int32_t> prompt,
                              const GenerateOptions& options, Device& device,
                              const OnTokenFn& on_token = {});

// The token that `uniform` in [0, 1) draws from these logits. Equal logits count in the order of
// their ids.
int32_t sample_token(std::span<const float> logits, const GenerateOptions& options, double uniform);

}  // namespace pg
