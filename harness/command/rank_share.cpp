#include "harness/command/rank_share.h"

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

}  // namespace pg
