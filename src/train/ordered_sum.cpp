#include "src/train/ordered_sum.h"

#include <numeric>

#include "src/plan/gradient/gradient_leaves.h"

namespace pg {

OrderedSum::OrderedSum(Comm& comm, Device& device, float* values,
                       std::span<const std::vector<Stretch>> of_ranks)
    : comm_(comm),
      device_(device),
      values_(values),
      own_(of_ranks[static_cast<size_t>(comm.rank())]),
      holders_(static_cast<size_t>(comm.ranks())) {
  int64_t own_elements = 0;
  for (const Stretch& stretch : own_) own_elements += stretch.elements;
  const auto others = static_cast<int64_t>(comm.ranks() - 1);
  if (others == 0) return;
  received_ = DeviceBuffer(device, static_cast<size_t>(others * own_elements) * sizeof(float));
  const auto piece = [](int rank, float* data, int64_t elements) {
    return CommPiece{rank, data, static_cast<size_t>(elements) * sizeof(float)};
  };
  float* to = received_.as<float>();
  for (int r = 0; r < comm.ranks(); ++r) {
    if (r == comm.rank()) continue;
    for (const Stretch& stretch : of_ranks[static_cast<size_t>(r)]) {
      sends_.push_back(piece(r, values + stretch.offset, stretch.elements));
    }
    for (const Stretch& stretch : own_) {
      receives_.push_back(piece(r, to, stretch.elements));
      to += stretch.elements;
    }
  }
}

// At each level neighbours are added; where this rank's own part is one of them, the sum goes there.
void OrderedSum::reduce() {
  if (comm_.ranks() == 1) return;
  comm_.wait(comm_.exchange(sends_, receives_));
  const int own = comm_.rank();
  const auto ranks = static_cast<size_t>(comm_.ranks());
  std::iota(holders_.begin(), holders_.end(), 0);
  const auto part = [&](int rank, size_t stretch) {
    if (rank == own) return values_ + own_[stretch].offset;
    const auto place = static_cast<size_t>(rank < own ? rank : rank - 1);
    return static_cast<float*>(receives_[place * own_.size() + stretch].data);
  };
  for (size_t width = 1; width < ranks; width *= 2) {
    for (size_t r = 0; r + width < ranks; r += 2 * width) {
      int& left = holders_[r];
      const int right = holders_[r + width];
      const int to = right == own ? right : left, from = right == own ? left : right;
      for (size_t i = 0; i < own_.size(); ++i) {
        add_floats(device_, part(to, i), part(from, i), own_[i].elements);
      }
      left = to;
    }
  }
}

}  // namespace pg
