// embedding: to be filled.
#include "src/device/cuda/cuda_dispatch.h"
#include "src/device/cuda/cuda_ops.h"

namespace pg {

void CudaOps::embed(Out /*y*/, In /*ids*/, In /*table*/, int64_t /*rows*/, int64_t /*dim*/) {
  PG_CHECK(false, "no kernel of embed yet");
}
void CudaOps::embed_backward(Out /*dtable*/, In /*ids*/, In /*dy*/, int64_t /*rows*/,
                             int64_t /*vocab*/, int64_t /*dim*/) {
  PG_CHECK(false, "no kernel of embed_backward yet");
}
void CudaOps::bigram_hash(Out /*hashed*/, In /*ids*/, int64_t /*rows*/, int64_t /*tokens*/,
                          int64_t /*buckets*/, int64_t /*first*/, bool /*trigram*/) {
  PG_CHECK(false, "no kernel of bigram_hash yet");
}
void CudaOps::mean_bags(Out /*y*/, In /*x*/, int64_t /*rows*/, int64_t /*bag*/, int64_t /*dim*/) {
  PG_CHECK(false, "no kernel of mean_bags yet");
}
void CudaOps::mean_bags_backward(Out /*dx*/, In /*dy*/, int64_t /*rows*/, int64_t /*bag*/,
                                 int64_t /*dim*/) {
  PG_CHECK(false, "no kernel of mean_bags_backward yet");
}
void CudaOps::prepend_rows(Out /*y*/, In /*m*/, In /*x*/, const PrependShape& /*shape*/) {
  PG_CHECK(false, "no kernel of prepend_rows yet");
}
void CudaOps::prepend_rows_backward(Out /*dx*/, Out /*dm*/, In /*dy*/,
                                    const PrependShape& /*shape*/) {
  PG_CHECK(false, "no kernel of prepend_rows_backward yet");
}
void CudaOps::smear(Out /*y*/, In /*x*/, In /*gate*/, int64_t /*rows*/, int64_t /*tokens*/,
                    int64_t /*dim*/, int64_t /*first*/) {
  PG_CHECK(false, "no kernel of smear yet");
}
void CudaOps::smear_backward(Out /*dx*/, Out /*dgate*/, In /*dy*/, In /*x*/, In /*gate*/,
                             int64_t /*rows*/, int64_t /*tokens*/, int64_t /*dim*/) {
  PG_CHECK(false, "no kernel of smear_backward yet");
}
void CudaOps::token_smear(Out /*y*/, In /*x*/, In /*ids*/, In /*w*/, In /*scale*/,
                          const TokenSmearShape& /*shape*/) {
  PG_CHECK(false, "no kernel of token_smear yet");
}
void CudaOps::token_smear_backward(Out /*dx*/, Out /*dw*/, Out /*dscale*/, In /*dy*/, In /*x*/,
                                   In /*ids*/, In /*w*/, In /*scale*/,
                                   const TokenSmearShape& /*shape*/) {
  PG_CHECK(false, "no kernel of token_smear_backward yet");
}

}  // namespace pg
