// weights: to be filled.
#include "src/device/cuda/cuda_dispatch.h"
#include "src/device/cuda/cuda_ops.h"

namespace pg {

void CudaOps::cast(Out /*y*/, In /*x*/, int64_t /*count*/) {
  PG_CHECK(false, "no kernel of cast yet");
}

void CudaOps::lerp(Out /*average*/, In /*x*/, In /*decay*/, int64_t /*count*/) {
  PG_CHECK(false, "no kernel of lerp yet");
}

void CudaOps::scale_rows(Out /*y*/, In /*x*/, In /*s*/, const MatrixBatch& /*shape*/,
                         int64_t /*s_stride*/) {
  PG_CHECK(false, "no kernel of scale_rows yet");
}

void CudaOps::scale_rows_backward(Out /*dx*/, Out /*ds*/, In /*x*/, In /*s*/,
                                  const MatrixBatch& /*shape*/, int64_t /*s_stride*/) {
  PG_CHECK(false, "no kernel of scale_rows_backward yet");
}

}  // namespace pg
