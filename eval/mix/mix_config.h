// Recipe keys of the experts that reshape the network's distribution while scoring.
#pragma once
#include <cstdint>

#include "src/base/field.h"

namespace pg {

enum class MixKind : uint8_t { kNone, kTilt, kLinear, kLogit };
template <>
inline constexpr auto kChoiceNames<MixKind> = name_choices("none", "tilt", "linear", "logit");

struct MixConfig {
  MixKind kind = MixKind::kNone;
  int64_t min_order = 3;
  int64_t max_order = 10;
  int64_t match_length = 8;
  double learn_rate = 0.002;
  double linear_base = 0.20;
  double linear_range = 0.55;
  double linear_slope = 2.0;
  double linear_centre_nats = 3.0;
  int64_t tilt_order = 16;
  double tilt_beta = 2.625;
  double tilt_threshold = 0.80;
  int64_t tilt_min_count = 1;
};

}  // namespace pg
