// The op table of the simt device: ops that have a CUDA kernel call its launcher, the others are
// the reference's.
#pragma once
#include "src/device/reference/reference_ops.h"

namespace pg {

class SimtOps final : public ReferenceOps {
 public:
  void rmsnorm(Out y, Out rstd, In x, float scale, float eps, int64_t rows, int64_t dim) override;
  void rmsnorm_backward(Out dx, In dy, In x, In rstd, float scale, int64_t rows,
                        int64_t dim) override;

  void softcap_xent(Out loss, Out lse, In logits, In targets, In weights, const Softcap& cap,
                    int64_t rows, int64_t vocab, int64_t n) override;
  void softcap_xent_backward(Out dlogits, In logits, In lse, In targets, In weights, In dloss,
                             const Softcap& cap, int64_t rows, int64_t vocab, int64_t n) override;
};

}  // namespace pg
