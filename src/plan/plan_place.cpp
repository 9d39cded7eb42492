// Gives every tensor of a plan its memory: one arena, in which tensors whose lives do not overlap
// share space.
#include <algorithm>
#include <numeric>

#include "src/plan/plan.h"

namespace pg {
namespace {

constexpr int64_t kAlignBytes = 64;

struct Extent {
  int64_t begin = 0, end = 0;  // bytes in the arena
  int first_call = 0, last_call = 0;
};

// The lowest gap of `bytes` among the extents alive at the same time (first fit).
int64_t find_gap(std::vector<Extent> alive, int64_t bytes) {
  std::sort(alive.begin(), alive.end(),
            [](const Extent& a, const Extent& b) { return a.begin < b.begin; });
  int64_t at = 0;
  for (const Extent& extent : alive) {
    if (extent.begin - at >= bytes) break;
    at = std::max(at, extent.end);
  }
  return at;
}

}  // namespace

void Plan::place_tensors() {
  std::vector<size_t> order;
  for (size_t i = 0; i < tensors_.size(); ++i) {
    TensorInfo& t = tensors_[i];
    if (t.place != Place::kArena || t.base >= 0 || t.first_call < 0) continue;
    if (t.kept || t.lasts) t.last_call = static_cast<int>(calls_.size());
    if (t.lasts) t.first_call = 0;
    order.push_back(i);
  }
  // Large tensors first within a call leaves fewer gaps.
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const TensorInfo &x = tensors_[a], &y = tensors_[b];
    return x.first_call != y.first_call ? x.first_call < y.first_call : x.bytes() > y.bytes();
  });
  std::vector<Extent> extents;
  std::vector<int64_t> offsets(tensors_.size());
  int64_t arena_bytes = 0;
  for (const size_t i : order) {
    const TensorInfo& t = tensors_[i];
    const int64_t bytes =
        (static_cast<int64_t>(t.bytes()) + kAlignBytes - 1) / kAlignBytes * kAlignBytes;
    std::vector<Extent> alive;
    for (const Extent& extent : extents) {
      const bool overlaps = extent.first_call <= t.last_call && t.first_call <= extent.last_call;
      if (overlaps || memory_ == Memory::kSeparate) alive.push_back(extent);
    }
    const int64_t begin = find_gap(std::move(alive), bytes);
    extents.push_back({begin, begin + bytes, t.first_call, t.last_call});
    offsets[i] = begin;
    arena_bytes = std::max(arena_bytes, begin + bytes);
    separate_bytes_ += bytes;
  }
  const DeviceBuffer* arena = &arena_;
  // <parts>
  if (lender_ != nullptr && static_cast<int64_t>(lender_->bytes()) >= arena_bytes) {
    arena = lender_;
  } else  // of its own
    // </parts>
    arena_ = DeviceBuffer(weights_->device(), static_cast<size_t>(arena_bytes));
  for (const size_t i : order) tensors_[i].data = arena->as<uint8_t>() + offsets[i];
  for (TensorInfo& t : tensors_) {
    if (t.base < 0) continue;
    void* const base = tensors_[static_cast<size_t>(t.base)].data;
    if (base != nullptr) {
      t.data =
          static_cast<uint8_t*>(base) + static_cast<size_t>(t.first_column) * dtype_bytes(t.dtype);
    }
  }
}

}  // namespace pg
