// Recipe keys of the experts that reshape the network's distribution while scoring.
#pragma once
#include <cstdint>

#include "src/base/field.h"

namespace pg {

// clang-format off
enum class MixKind : uint8_t { kNone, kTilt, kLinear, kLogit
  // <parts>
  , kCascade, kPpm
  // </parts>
};
template <>
inline constexpr auto kChoiceNames<MixKind> = name_choices("none", "tilt", "linear", "logit"
  // <parts>
  , "cascade", "ppm"
  // </parts>
);
// clang-format on

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
  // <parts>
  int64_t cascade_buckets = 4194304;
  int64_t cascade_min_count = 2;
  double ppm_weight = 0.1;
  // </parts>
};

// clang-format off
// <parts>
template <class Config, class Visit>
void visit_mix_part_fields(Config& c, Visit&& visit) {
  const auto scoring = affecting(Affects::kScoring, visit);
  scoring("cascade_buckets", c.cascade_buckets, {.min = 2, .max = 1 << 24, .env = "NGRAM_BUCKETS",
      .help = "cascade: hashed counts of an order and table; a power of two"});
  scoring("cascade_min_count", c.cascade_min_count, {.min = 1, .max = 1 << 30,
      .help = "cascade: times that a context's bucket must be counted before it predicts"});
  scoring("ppm_weight", c.ppm_weight, {.min = 0, .max = 1,
      .help = "ppm: weight of PPM-C's distribution beside the network's (PR #398's negative result)"});
}
// </parts>
template <class Config, class Visit>
void visit_mix_fields(Config& c, Visit&& visit) {
  const auto scoring = affecting(Affects::kScoring, visit);
  scoring("kind", c.kind, {
      .help = "how n-grams of the scored tokens reshape the network's distribution"});
  scoring("min_order", c.min_order, {.min = 2, .max = 16, .unit = "tokens",
      .help = "shortest n-grams counted, context and successor"});
  scoring("max_order", c.max_order, {.min = 2, .max = 16, .unit = "tokens",
      .help = "longest n-grams counted, context and successor"});
  scoring("match_length", c.match_length, {.min = 1, .max = 32, .unit = "tokens",
      .help = "tokens that must agree before a longest match predicts"});
  scoring("learn_rate", c.learn_rate, {.min = 0, .max = 1,
      .help = "logit: step of the gate weights after each scored token"});
  scoring("linear_base", c.linear_base, {.min = 0, .max = 1,
      .help = "linear: weight of the n-grams where the network is sure"});
  scoring("linear_range", c.linear_range, {.min = 0, .max = 1,
      .help = "linear: what is added to it where the network is unsure"});
  scoring("linear_slope", c.linear_slope, {.min = -100, .max = 100,
      .help = "linear: how fast the weight grows with the network's entropy"});
  scoring("linear_centre_nats", c.linear_centre_nats, {.min = 0, .max = 20, .unit = "nats",
      .help = "linear: entropy at which half of the range is added"});
  scoring("tilt_order", c.tilt_order, {.min = 2, .max = 16, .unit = "tokens",
      .help = "tilt: context and hinted token"});
  scoring("tilt_beta", c.tilt_beta, {.min = 0, .max = 20, .unit = "nats",
      .help = "tilt: added to the hinted token's logit"});
  scoring("tilt_threshold", c.tilt_threshold, {.min = 0, .max = 1,
      .help = "tilt: share of the context's occurrences that the hint must have"});
  scoring("tilt_min_count", c.tilt_min_count, {.min = 1, .max = 65535,
      .help = "tilt: occurrences of a context before it hints"});
  // <parts>
  visit_mix_part_fields(c, visit);
  // </parts>
}
// clang-format on

}  // namespace pg
