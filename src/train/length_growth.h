// Sequence lengths that grow in a training (train.seq_len_growth; parameter-golf PR #2014): steps of
// short sequences cost less attention, and most of what is learnt early needs no long context.
#pragma once
#include <cstdint>
#include <vector>

#include "src/train/train_config.h"

namespace pg {

struct LengthStage {
  int64_t seq_len = 0;
  double until = 1;  // part of training that is done when the next stage begins
};

// The stages of "1024@0.1,2048@0.7,3072@1"; of an empty text one of train.seq_len. Throws Error where
// lengths or parts do not grow, or the last stage is not that of train.seq_len and the end.
std::vector<LengthStage> list_length_stages(const TrainConfig& train);

}  // namespace pg
