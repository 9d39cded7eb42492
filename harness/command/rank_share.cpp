#include "harness/command/rank_share.h"

#include <algorithm>

namespace pg {

void RankShare::gather(std::span<float> values, std::span<const int64_t> counts) {
  const bool is_first = rank() == 0;
  float* place = values.data() + (is_first ? counts[0] : 0);
  pieces_.clear();
  for (int other = 1; other < ranks(); ++other) {
    const int64_t count = counts[static_cast<size_t>(other)];
    if (count == 0 || !(is_first || other == rank())) continue;
    pieces_.push_back({is_first ? other : 0, place, static_cast<size_t>(count) * sizeof(float)});
    place += count;
  }
  const std::span<const CommPiece> pieces(pieces_), none;
  host_.wait(is_first ? host_.exchange(none, pieces) : host_.exchange(pieces, none));
}

// Each rank adds up an equal stretch.
void RankShare::sum(Device& device, float* values, int64_t elements) {
  if (!sum_) {
    const int64_t ranks = devices_.ranks(), stretch = (elements + ranks - 1) / ranks;
    std::vector<std::vector<Stretch>> of_ranks;
    for (int r = 0; r < ranks; ++r) {
      const int64_t offset = std::min(r * stretch, elements);
      const Stretch own = {offset, std::min(stretch, elements - offset)};
      of_ranks.push_back({own});
      summed_.push_back(
          {r, values + own.offset, static_cast<size_t>(own.elements) * sizeof(float)});
    }
    sum_.emplace(devices_, device, values, of_ranks);
  }
  sum_->reduce();
  devices_.wait(devices_.all_gather(summed_));
}

}  // namespace pg
