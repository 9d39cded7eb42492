// Gives every tensor of a plan its memory: one arena, in which tensors whose lives do not overlap
// share space.
#include <algorithm>
#include <numeric>

#include "src/plan/plan.h"

namespace pg {
namespace {

constexpr int64_t kAlignBytes = 64;

struct Block {
  int64_t begin = 0, end = 0;  // bytes in the arena
  int first_step = 0, last_step = 0;
};

// The lowest gap of `bytes` among the blocks alive at the same time (first fit).
int64_t find_gap(std::vector<Block> alive, int64_t bytes) {
  std::sort(alive.begin(), alive.end(),
            [](const Block& a, const Block& b) { return a.begin < b.begin; });
  int64_t at = 0;
  for (const Block& block : alive) {
    if (block.begin - at >= bytes) break;
    at = std::max(at, block.end);
  }
  return at;
}

}  // namespace

void Plan::place_tensors() {
  std::vector<size_t> order;
  for (size_t i = 0; i < tensors_.size(); ++i) {
    TensorInfo& t = tensors_[i];
    if (t.place != Place::kArena || t.first_step < 0) continue;
    if (t.kept) t.last_step = static_cast<int>(steps_.size());
    order.push_back(i);
  }
  // Large tensors first within a step leaves fewer gaps.
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const TensorInfo &x = tensors_[a], &y = tensors_[b];
    return x.first_step != y.first_step ? x.first_step < y.first_step : x.bytes() > y.bytes();
  });
  std::vector<Block> blocks;
  std::vector<int64_t> offsets(tensors_.size());
  int64_t arena_bytes = 0;
  for (const size_t i : order) {
    const TensorInfo& t = tensors_[i];
    const int64_t bytes =
        (static_cast<int64_t>(t.bytes()) + kAlignBytes - 1) / kAlignBytes * kAlignBytes;
    std::vector<Block> alive;
    for (const Block& block : blocks) {
      const bool overlaps = block.first_step <= t.last_step && t.first_step <= block.last_step;
      if (overlaps || memory_ == Memory::kSeparate) alive.push_back(block);
    }
    const int64_t begin = find_gap(std::move(alive), bytes);
    blocks.push_back({begin, begin + bytes, t.first_step, t.last_step});
    offsets[i] = begin;
    arena_bytes = std::max(arena_bytes, begin + bytes);
    separate_bytes_ += bytes;
  }
  arena_ = DeviceBuffer(weights_->device(), static_cast<size_t>(arena_bytes));
  for (const size_t i : order) tensors_[i].data = arena_.as<uint8_t>() + offsets[i];
}

}  // namespace pg
