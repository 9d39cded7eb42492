#include "harness/command/rank_share.h"

namespace pg {

void RankShare::gather(std::span<float> values, std::span<const int64_t> counts) {
  const bool is_first = rank() == 0;
  const auto of_others = is_first ? values.subspan(static_cast<size_t>(counts[0])) : values;
  make_room(of_others.size_bytes());
  pieces_.clear();
  auto* place = staged_.as<uint8_t>();
  for (int other = 1; other < ranks(); ++other) {
    const size_t bytes = static_cast<size_t>(counts[static_cast<size_t>(other)]) * sizeof(float);
    if (bytes == 0 || !(is_first || other == rank())) continue;
    pieces_.push_back({is_first ? other : 0, place, bytes});
    place += bytes;
  }
  if (is_first) {
    comm_.wait(comm_.exchange({}, pieces_));
    device_.synchronize();
    device_.download(of_others.data(), staged_.data(), of_others.size_bytes());
  } else {
    device_.upload(staged_.data(), of_others.data(), of_others.size_bytes());
    comm_.wait(comm_.exchange(pieces_, {}));
  }
}

void RankShare::make_room(size_t bytes) {
  if (staged_.bytes() < bytes) staged_ = DeviceBuffer(device_, bytes);
}

}  // namespace pg
