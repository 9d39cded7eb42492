// Recipe keys of the track a run competes in and of the record it leaves. Caps and budgets are
// quant.cap_bytes, train.wallclock_s and eval.wallclock_s.
#pragma once
#include <string>

#include "src/base/field.h"
#include "src/device/comm/join_devices.h"

namespace pg {

struct TrackConfig {
  std::string name = "non_record";
  std::string hardware = "any CPU";
  std::string device = "cpu";
  ExchangeBy exchange = ExchangeBy::kAny;
};

struct RecordConfig {
  std::string name = "unnamed";
  std::string author;
  std::string github_id;
  std::string blurb;
  std::string date;
};

}  // namespace pg
