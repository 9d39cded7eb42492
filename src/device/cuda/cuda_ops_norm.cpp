// norm: to be filled.
#include "src/device/cuda/cuda_dispatch.h"
#include "src/device/cuda/cuda_ops.h"

namespace pg {

void CudaOps::rmsnorm(Out /*y*/, Out /*rstd*/, In /*x*/, float /*scale*/, float /*eps*/,
                      int64_t /*rows*/, int64_t /*dim*/) {
  PG_CHECK(false, "no kernel of rmsnorm yet");
}
void CudaOps::rmsnorm_backward(Out /*dx*/, In /*dy*/, In /*x*/, In /*rstd*/, float /*scale*/,
                               int64_t /*rows*/, int64_t /*dim*/) {
  PG_CHECK(false, "no kernel of rmsnorm_backward yet");
}
void CudaOps::mix_rmsnorm(Out /*y*/, Out /*n*/, Out /*rstd*/, In /*x*/, In /*a*/, In /*z*/,
                          In /*b*/, float /*scale*/, float /*eps*/, int64_t /*rows*/,
                          int64_t /*dim*/) {
  PG_CHECK(false, "no kernel of mix_rmsnorm yet");
}
void CudaOps::mix_rmsnorm_backward(Out /*dx*/, Out /*dz*/, Out /*da*/, Out /*db*/, In /*dy*/,
                                   In /*dn*/, In /*x*/, In /*a*/, In /*z*/, In /*b*/, In /*rstd*/,
                                   float /*scale*/, int64_t /*rows*/, int64_t /*dim*/) {
  PG_CHECK(false, "no kernel of mix_rmsnorm_backward yet");
}
void CudaOps::qk_norm_rope(Out /*y*/, Out /*rstd*/, In /*x*/, In /*gain*/, In /*table*/,
                           float /*eps*/, const HeadShape& /*shape*/) {
  PG_CHECK(false, "no kernel of qk_norm_rope yet");
}
void CudaOps::qk_norm_rope_backward(Out /*dx*/, Out /*dgain*/, In /*dy*/, In /*x*/, In /*rstd*/,
                                    In /*gain*/, In /*table*/, const HeadShape& /*shape*/) {
  PG_CHECK(false, "no kernel of qk_norm_rope_backward yet");
}
void CudaOps::xsa(Out /*y*/, In /*x*/, In /*v*/, const AttentionShape& /*shape*/) {
  PG_CHECK(false, "no kernel of xsa yet");
}
void CudaOps::xsa_backward(Out /*dx*/, Out /*dv*/, In /*dy*/, In /*x*/, In /*v*/,
                           const AttentionShape& /*shape*/) {
  PG_CHECK(false, "no kernel of xsa_backward yet");
}

}  // namespace pg
