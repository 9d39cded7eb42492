// optimizer: to be filled.
#include "src/device/cuda/cuda_dispatch.h"
#include "src/device/cuda/cuda_ops.h"

namespace pg {

void CudaOps::adamw(Out /*p*/, Out /*m*/, Out /*v*/, In /*g*/, In /*coefficient*/, In /*step*/,
                    bool /*cautious*/, int64_t /*count*/) {
  PG_CHECK(false, "no kernel of adamw yet");
}
void CudaOps::muon_momentum(Out /*u*/, Out /*m*/, In /*g*/, In /*coefficient*/, In /*mu*/,
                            bool /*row_norm*/, const MatrixBatch& /*shape*/) {
  PG_CHECK(false, "no kernel of muon_momentum yet");
}
void CudaOps::newton_schulz(Out /*u*/, std::span<const NewtonSchulzCoefficients> /*steps*/,
                            NewtonSchulzStart /*start*/, const MatrixBatch& /*shape*/) {
  PG_CHECK(false, "no kernel of newton_schulz yet");
}
void CudaOps::normuon(Out /*u*/, Out /*v*/, In /*coefficient*/, In /*beta2*/, bool /*columns*/,
                      float /*rms*/, const MatrixBatch& /*shape*/, int64_t /*v_stride*/) {
  PG_CHECK(false, "no kernel of normuon yet");
}
void CudaOps::balance_neurons(Out /*y*/, Out /*d*/, In /*x*/, float /*beta*/, bool /*is_first*/,
                              const MatrixBatch& /*shape*/) {
  PG_CHECK(false, "no kernel of balance_neurons yet");
}
void CudaOps::apply_update(Out /*p*/, In /*u*/, In /*coefficient*/, In /*decay_step*/,
                           bool /*cautious*/, const MatrixBatch& /*shape*/) {
  PG_CHECK(false, "no kernel of apply_update yet");
}

}  // namespace pg
