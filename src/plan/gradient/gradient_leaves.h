// Gradients that are the same for any number of ranks (formulas.md 3.4).
//
// A step's micro-batches are cut into leaves of equally many, in order: train.gradient_leaves, or at test
// time ttt.gradient_leaves. Each leaf adds up its own from zero; leaves combine as a binary tree: neighbours, then neighbours of
// those, ... A rank has as many neighbouring leaves as another, a subtree, so what it sends is one
// sum. One leaf is plain accumulation.
#pragma once
#include <vector>

#include "src/plan/weights.h"

namespace pg {

class GradientLeaves {
 public:
  // `leaves` of this rank: a power of two. Memory: a flat gradient for each level of the tree.
  GradientLeaves(Weights& weights, int64_t leaves);

  int64_t leaves() const { return leaves_; }
  // Weights::gradients() holds leaf `leaf`, finished; they come in order. After the last one it
  // holds the sum of all.
  void add(int64_t leaf);

 private:
  Weights* weights_;
  int64_t leaves_;
  std::vector<DeviceBuffer> waiting_;  // by level: a left subtree, whose right one is to come
};

// y[elements] += x, f32 on the device.
void add_floats(Device& device, float* y, const float* x, int64_t elements);

}  // namespace pg
