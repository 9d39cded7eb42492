// Ranks that run the windows of a score together. Every rank opens the same chunks and learns the
// same from them; of each batch of windows it runs its share, and rank 0, which alone asks for
// distributions, gets those of the others. Who moves the bytes is not known here.
#pragma once
#include <cstdint>
#include <span>

namespace pg {

class Device;

class WindowShare {
 public:
  virtual ~WindowShare() = default;
  virtual int rank() const = 0;
  virtual int ranks() const = 0;
  // counts[r] values of every rank r, one after another, in rank 0's `values`, of which the first
  // counts[0] are there already; the others give theirs. All ranks call it alike. Throws Error when
  // another rank has ended.
  virtual void gather(std::span<float> values, std::span<const int64_t> counts) = 0;
  // f32 in the device's memory: every rank's values become the sum over all ranks, as a binary tree over
  // them, neighbours first. Always of the same memory; the ranks are a power of two. All call it alike.
  virtual void sum(Device& device, float* values, int64_t elements) = 0;
};

}  // namespace pg
