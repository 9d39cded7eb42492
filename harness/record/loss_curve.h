// The losses of a run, for its plot and its tables.
#pragma once
#include <cstdint>
#include <filesystem>
#include <vector>

namespace pg {

struct LossPoint {
  int64_t step = 0;
  double train_s = 0;
  double loss_nats = 0;
  double bits_per_byte = 0;  // validation only
};

struct LossCurve {
  std::vector<LossPoint> train;
  std::vector<LossPoint> validation;

  // Steps from `step` on are forgotten: a resumed run does them again.
  void rewind(int64_t step);
};

// The curve of an earlier part of a run, from its run.jsonl; empty when there is none. Lines that
// cannot be read (a kill may cut the last one) are skipped.
LossCurve load_loss_curve(const std::filesystem::path& run_jsonl);

}  // namespace pg
