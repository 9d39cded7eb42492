// In place of src/device/cpu/bf16 and avx512 where there is learning.
#include "eval/scorer/left_out.h"
#include "src/device/cpu/gradient/cpu_linear_dw.h"
#include "src/device/cpu/gradient/cpu_tile_gradients.h"

namespace pg {
const TileGradients& avx512_tile_gradients() { fail_left_out(); }
const TileGradients& avx512_bf16_tile_gradients() { fail_left_out(); }
bool has_dw_tiles(const TileKernel&, Out, In, int64_t, int64_t, int64_t) { return false; }
void linear_dw_by_tiles(const TileKernel&, CpuScratch&, Out, In, In, int64_t, int64_t, int64_t) {
  fail_left_out();
}

}  // namespace pg
