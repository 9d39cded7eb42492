// Recipe keys of evaluation.
#pragma once
#include <cstdint>
#include <string>

#include "src/base/field.h"

namespace pg {

struct EvalConfig {
  int64_t context = 2048;
  int64_t stride = 64;
  std::string windows = "stream";
  int64_t batch_tokens = 8192;
  double wallclock_s = 600.0;
};

template <class Config, class Visit>
void visit_eval_fields(Config& c, Visit&& visit) {
  visit(FieldInfo{.key = "context",
                  .help = "tokens of a scoring window",
                  .unit = "tokens",
                  .environment = "EVAL_SEQ_LEN",
                  .min = 1,
                  .max = 1 << 20},
        c.context);
  visit(FieldInfo{.key = "stride",
                  .help =
                      "tokens by which the window slides; at most context, which means no overlap",
                  .unit = "tokens",
                  .environment = "EVAL_STRIDE",
                  .min = 1,
                  .max = 1 << 20},
        c.stride);
  visit(FieldInfo{.key = "windows",
                  .help = "stream: windows reach back over document starts; document: they do not",
                  .choices = "stream|document"},
        c.windows);
  visit(FieldInfo{.key = "batch_tokens",
                  .help = "tokens of the windows scored in one forward pass",
                  .unit = "tokens",
                  .min = 1,
                  .max = 1 << 24},
        c.batch_tokens);
  visit(
      FieldInfo{.key = "wallclock_s",
                .help = "evaluation budget; a score that took longer is marked as over it; 0: none",
                .unit = "s",
                .min = 0,
                .max = 1e7},
      c.wallclock_s);
}

}  // namespace pg
