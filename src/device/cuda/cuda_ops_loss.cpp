// loss: to be filled.
#include "src/device/cuda/cuda_dispatch.h"
#include "src/device/cuda/cuda_ops.h"

namespace pg {

void CudaOps::softcap_xent(Out /*loss*/, Out /*lse*/, In /*logits*/, In /*targets*/, In /*weights*/,
                           const Softcap& /*cap*/, int64_t /*rows*/, int64_t /*vocab*/,
                           int64_t /*n*/) {
  PG_CHECK(false, "no kernel of softcap_xent yet");
}
void CudaOps::softcap_xent_backward(Out /*dlogits*/, In /*logits*/, In /*lse*/, In /*targets*/,
                                    In /*weights*/, In /*dloss*/, const Softcap& /*cap*/,
                                    int64_t /*rows*/, int64_t /*vocab*/, int64_t /*n*/) {
  PG_CHECK(false, "no kernel of softcap_xent_backward yet");
}
void CudaOps::softcap_log_probs(Out /*log_probs*/, Out /*entropy*/, In /*logits*/,
                                const Softcap& /*cap*/, int64_t /*rows*/, int64_t /*vocab*/) {
  PG_CHECK(false, "no kernel of softcap_log_probs yet");
}
void CudaOps::sum(Out /*sum*/, In /*x*/, double /*scale*/, int64_t /*count*/) {
  PG_CHECK(false, "no kernel of sum yet");
}
void CudaOps::sum_squares(Out /*sums*/, In /*x*/, const MatrixBatch& /*shape*/,
                          int64_t /*sums_stride*/) {
  PG_CHECK(false, "no kernel of sum_squares yet");
}
void CudaOps::sum_pieces(Out /*sum*/, In /*pieces*/, int64_t /*count*/) {
  PG_CHECK(false, "no kernel of sum_pieces yet");
}
void CudaOps::clip_coefficient(Out /*coefficient*/, In /*squares*/, float /*max_norm*/) {
  PG_CHECK(false, "no kernel of clip_coefficient yet");
}

}  // namespace pg
