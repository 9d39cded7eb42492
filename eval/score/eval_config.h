// Recipe keys of evaluation.
#pragma once
#include <cstdint>

#include "src/base/field.h"

namespace pg {

enum class Windows : uint8_t { kStream, kDocument };
template <>
inline constexpr auto kChoiceNames<Windows> = name_choices("stream", "document");

struct EvalConfig {
  int64_t context = 2048;
  int64_t stride = 64;
  Windows windows = Windows::kStream;
  int64_t batch_tokens = 8192;
  double wallclock_s = 600.0;
};

}  // namespace pg
