// elementwise: to be filled.
#include "src/device/cuda/cuda_dispatch.h"
#include "src/device/cuda/cuda_ops.h"

namespace pg {

void CudaOps::add_scaled(Out /*y*/, In /*x*/, In /*z*/, In /*s1*/, In /*s2*/, int64_t /*rows*/,
                         int64_t /*dim*/) {
  PG_CHECK(false, "no kernel of add_scaled yet");
}
void CudaOps::add_scaled_backward(Out /*dx*/, Out /*dz*/, Out /*ds1*/, Out /*ds2*/, In /*dy*/,
                                  In /*z*/, In /*s1*/, In /*s2*/, int64_t /*rows*/,
                                  int64_t /*dim*/) {
  PG_CHECK(false, "no kernel of add_scaled_backward yet");
}
void CudaOps::mix(Out /*y*/, In /*x*/, In /*a*/, In /*z*/, In /*b*/, int64_t /*rows*/,
                  int64_t /*dim*/) {
  PG_CHECK(false, "no kernel of mix yet");
}
void CudaOps::mix_backward(Out /*dx*/, Out /*dz*/, Out /*da*/, Out /*db*/, In /*dy*/, In /*x*/,
                           In /*a*/, In /*z*/, In /*b*/, int64_t /*rows*/, int64_t /*dim*/) {
  PG_CHECK(false, "no kernel of mix_backward yet");
}
void CudaOps::leaky_relu2(Out /*y*/, In /*x*/, float /*slope*/, int64_t /*count*/) {
  PG_CHECK(false, "no kernel of leaky_relu2 yet");
}
void CudaOps::leaky_relu2_backward(Out /*dx*/, In /*dy*/, In /*x*/, float /*slope*/,
                                   int64_t /*count*/) {
  PG_CHECK(false, "no kernel of leaky_relu2_backward yet");
}
void CudaOps::swiglu(Out /*y*/, In /*gate*/, In /*up*/, int64_t /*rows*/, int64_t /*dim*/) {
  PG_CHECK(false, "no kernel of swiglu yet");
}
void CudaOps::swiglu_backward(Out /*dgate*/, Out /*dup*/, In /*dy*/, In /*gate*/, In /*up*/,
                              int64_t /*rows*/, int64_t /*dim*/) {
  PG_CHECK(false, "no kernel of swiglu_backward yet");
}
void CudaOps::gated_mix(Out /*y*/, In /*x*/, In /*z*/, In /*w*/, In /*gate*/, int64_t /*rows*/,
                        int64_t /*dim*/) {
  PG_CHECK(false, "no kernel of gated_mix yet");
}
void CudaOps::gated_mix_backward(Out /*dx*/, Out /*dz*/, Out /*dw*/, Out /*dgate*/, In /*dy*/,
                                 In /*x*/, In /*z*/, In /*w*/, In /*gate*/, int64_t /*rows*/,
                                 int64_t /*dim*/) {
  PG_CHECK(false, "no kernel of gated_mix_backward yet");
}
void CudaOps::blend(Out /*y*/, In /*x*/, In /*a*/, In /*z*/, In /*b*/, bool /*sigmoid*/,
                    int64_t /*rows*/, int64_t /*dim*/) {
  PG_CHECK(false, "no kernel of blend yet");
}
void CudaOps::blend_backward(Out /*dx*/, Out /*dz*/, Out /*da*/, Out /*db*/, In /*dy*/, In /*x*/,
                             In /*a*/, In /*z*/, In /*b*/, bool /*sigmoid*/, int64_t /*rows*/,
                             int64_t /*dim*/) {
  PG_CHECK(false, "no kernel of blend_backward yet");
}

}  // namespace pg
