// Recipe keys of the experts that reshape the network's distribution while scoring.
#pragma once
#include <cstdint>
#include <string>

#include "src/base/field.h"

namespace pg {

struct MixConfig {
  std::string kind = "none";
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

template <class Config, class Visit>
void visit_mix_fields(Config& c, Visit&& visit) {
  visit(FieldInfo{.key = "kind",
                  .help = "how n-grams of the scored tokens reshape the network's distribution",
                  .choices = "none|tilt|linear|logit"},
        c.kind);
  visit(FieldInfo{.key = "min_order",
                  .help = "shortest n-grams counted, context and successor",
                  .unit = "tokens",
                  .min = 2,
                  .max = 16},
        c.min_order);
  visit(FieldInfo{.key = "max_order",
                  .help = "longest n-grams counted, context and successor",
                  .unit = "tokens",
                  .min = 2,
                  .max = 16},
        c.max_order);
  visit(FieldInfo{.key = "match_length",
                  .help = "tokens that must agree before a longest match predicts",
                  .unit = "tokens",
                  .min = 1,
                  .max = 32},
        c.match_length);
  visit(FieldInfo{.key = "learn_rate",
                  .help = "logit: step of the gate weights after each scored token",
                  .min = 0,
                  .max = 1},
        c.learn_rate);
  visit(FieldInfo{.key = "linear_base",
                  .help = "linear: weight of the n-grams where the network is sure",
                  .min = 0,
                  .max = 1},
        c.linear_base);
  visit(FieldInfo{.key = "linear_range",
                  .help = "linear: what is added to it where the network is unsure",
                  .min = 0,
                  .max = 1},
        c.linear_range);
  visit(FieldInfo{.key = "linear_slope",
                  .help = "linear: how fast the weight grows with the network's entropy",
                  .min = -100,
                  .max = 100},
        c.linear_slope);
  visit(FieldInfo{.key = "linear_centre_nats",
                  .help = "linear: entropy at which half of the range is added",
                  .unit = "nats",
                  .min = 0,
                  .max = 20},
        c.linear_centre_nats);
  visit(FieldInfo{.key = "tilt_order",
                  .help = "tilt: context and hinted token",
                  .unit = "tokens",
                  .min = 2,
                  .max = 16},
        c.tilt_order);
  visit(FieldInfo{.key = "tilt_beta",
                  .help = "tilt: added to the hinted token's logit",
                  .unit = "nats",
                  .min = 0,
                  .max = 20},
        c.tilt_beta);
  visit(FieldInfo{.key = "tilt_threshold",
                  .help = "tilt: share of the context's occurrences that the hint must have",
                  .min = 0,
                  .max = 1},
        c.tilt_threshold);
  visit(FieldInfo{.key = "tilt_min_count",
                  .help = "tilt: occurrences of a context before it hints",
                  .min = 1,
                  .max = 65535},
        c.tilt_min_count);
}

}  // namespace pg
