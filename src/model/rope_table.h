// Rotations of RoPE and their stretching to longer contexts by YaRN.
#pragma once
// <parts>
#include <algorithm>
// </parts>
#include <cstdint>
#include <vector>

#include "src/base/exact_math.h"
#include "src/model/model_config.h"

namespace pg {

// <parts>
// YaRN (arXiv:2309.00071, 3.2), s = yarn_factor: a frequency that turns r times in the context it is
// for, rope_context / s, is kept from r = 32 on, divided by s up to r = 1, and mixed in between.
inline double stretch_frequency(const ModelConfig& c, double frequency) {
  const double turns =
      static_cast<double>(c.rope_context) / c.yarn_factor * frequency / 6.283185307179586;
  const double kept = std::clamp((turns - 1.0) / 31.0, 0.0, 1.0);
  return frequency * (kept + (1.0 - kept) / c.yarn_factor);
}

// On the logits of attention: (0.1 ln s + 1)^2, its 1/t.
inline double attention_sharpness(const ModelConfig& c) {
  const double root = 0.1 * log_f64(c.yarn_factor) + 1.0;
  return root * root;
}
// </parts>

// (cos, sin) of position times frequency, [T, R/2, 2]. Angles in f64: at long contexts f32 loses
// the low bits of the product. Beyond rope_ntk_length the base grows by (T / length)^(R / (R - 2)),
// as the records do; T is the model's own context, so that a short text has the same base.
inline std::vector<float> make_rope_table(const ModelConfig& c, int64_t tokens) {
  const double dims = static_cast<double>(c.rope_dims);
  double base = c.rope_base;
  if (c.rope_ntk_length > 0 && c.rope_context > c.rope_ntk_length) {
    const double ratio =
        static_cast<double>(c.rope_context) / static_cast<double>(c.rope_ntk_length);
    base *= pow_f64(ratio, dims / (dims - 2.0));
  }
  std::vector<float> table;
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t i = 0; i < c.rope_dims / 2; ++i) {
      double frequency = pow_f64(base, -2.0 * static_cast<double>(i) / dims);
      // <parts>
      if (c.yarn_factor > 1) frequency = stretch_frequency(c, frequency);
      // </parts>
      const double angle = static_cast<double>(t) * frequency;
      const auto [sine, cosine] = sin_cos_f64(angle);
      table.push_back(static_cast<float>(cosine));
      table.push_back(static_cast<float>(sine));
    }
  }
  return table;
}

// <parts>
// Of positions 0, 2, 4, ...
inline std::vector<float> make_even_rope_table(const ModelConfig& c, int64_t tokens) {
  const std::vector<float> all = make_rope_table(c, 2 * tokens);
  std::vector<float> table;
  for (int64_t t = 0; t < tokens; ++t) {
    const auto row = all.begin() + 2 * t * c.rope_dims;
    table.insert(table.end(), row, row + c.rope_dims);
  }
  return table;
}
// </parts>

}  // namespace pg
