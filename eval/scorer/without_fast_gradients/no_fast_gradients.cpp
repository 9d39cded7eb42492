// In place of src/device/cpu/bf16 and avx512 where there is learning.
#include "src/base/error.h"
#include "src/device/cpu/gradient/cpu_linear_dw.h"
#include "src/device/cpu/gradient/cpu_tile_gradients.h"

namespace pg {
namespace {

[[noreturn]] void fail() { throw Error("this scorer was built without bf16; use train_gpt"); }

}  // namespace

const TileGradients& avx512_tile_gradients() { fail(); }
const TileGradients& avx512_bf16_tile_gradients() { fail(); }
bool has_dw_tiles(const TileKernel&, Out, In, int64_t, int64_t, int64_t) { return false; }
void linear_dw_by_tiles(const TileKernel&, CpuScratch&, Out, In, In, int64_t, int64_t, int64_t) {
  fail();
}

}  // namespace pg
