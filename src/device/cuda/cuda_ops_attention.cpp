// attention: to be filled.
#include "src/device/cuda/cuda_dispatch.h"
#include "src/device/cuda/cuda_ops.h"

namespace pg {

void CudaOps::attention(Out /*y*/, Out /*lse*/, In /*q*/, In /*k*/, In /*v*/,
                        const AttentionShape& /*shape*/) {
  PG_CHECK(false, "no kernel of attention yet");
}
void CudaOps::attention_backward(Out /*dq*/, Out /*dk*/, Out /*dv*/, In /*dy*/, In /*y*/,
                                 In /*lse*/, In /*q*/, In /*k*/, In /*v*/,
                                 const AttentionShape& /*shape*/) {
  PG_CHECK(false, "no kernel of attention_backward yet");
}

}  // namespace pg
