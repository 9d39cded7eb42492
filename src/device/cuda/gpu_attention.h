// Attention that a library of the machine computes instead of kernels/attention.h: cuDNN's, on a
// device that was asked for with it. A seam of its own, so that what decides between the two needs
// neither the library nor its headers.
#pragma once
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>

namespace pg {

// All that a plan depends on. Causal, the queries being the last of the keys; operands are bf16 and
// lie as those of Ops::attention do, rows of v and dv so many elements apart.
struct GpuAttentionShape {
  int64_t batch = 0, tokens = 0, keys = 0, heads = 0, kv_heads = 0, head_dim = 0;
  int64_t v_stride = 0, dv_stride = 0;
  float scale = 1;
  auto operator<=>(const GpuAttentionShape&) const = default;
};

// How the library does a pass over a shape.
struct GpuAttentionPlan {
  std::string engine;          // as the library names it
  size_t workspace_bytes = 0;  // working memory of a pass, aligned to 256 bytes
};

// Memory of the device; each starts at a multiple of 16 bytes.
struct GpuAttentionForward {
  void* y;     // [B*T, H*S]
  float* lse;  // [B, H, T]
  const void *q, *k, *v;
};
struct GpuAttentionBackward {
  void *dq, *dk, *dv;
  const void *dy, *y;
  const float* lse;
  const void *q, *k, *v;
};

// A shape's first plan takes as long as the library takes to compile it, about half a second, and is
// kept. From then on a pass allocates nothing and waits for nothing, so a graph can record it. Sums
// are in an order that depends on the shape alone. Failures throw Error.
class GpuAttention {
 public:
  virtual ~GpuAttention() = default;

  virtual std::string description() const = 0;  // "cuDNN 9.19.0"

  // Null where the library has no plan for such a shape.
  virtual const GpuAttentionPlan* plan_forward(const GpuAttentionShape& shape) = 0;
  // Throws where it has none whose sums are in order.
  virtual const GpuAttentionPlan& plan_backward(const GpuAttentionShape& shape) = 0;

  // Of a shape that has a plan.
  virtual void run(const GpuAttentionShape& shape, const GpuAttentionForward& operands,
                   void* workspace) = 0;
  virtual void run(const GpuAttentionShape& shape, const GpuAttentionBackward& operands,
                   void* workspace) = 0;
};

}  // namespace pg
