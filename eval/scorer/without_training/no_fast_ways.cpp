// In place of src/device/cpu/bf16 and avx512: a score is computed in f32, by our own product;
// attention by AVX2 gives the bits that AVX-512 gives.
#include "eval/scorer/left_out.h"
#include "src/device/cpu/cpu_attention.h"
#include "src/device/cpu/cpu_matmul_onednn.h"
#include "src/device/cpu/cpu_mix_rows.h"
#include "src/device/cpu/cpu_ops.h"
#include "src/device/cpu/cpu_tile_kernels.h"

namespace pg {
struct OnednnMatmul::Thread {};
OnednnMatmul::OnednnMatmul(int) : scratch_(0) {}
OnednnMatmul::~OnednnMatmul() = default;
void OnednnMatmul::run(const Product&, const void*, const void*, void*) { fail_left_out(); }
bool onednn_has(OnednnIsa isa) { return isa == OnednnIsa::kAvx2 || isa == OnednnIsa::kAvx512; }

void CpuOps::cast(Out, In, int64_t) { fail_left_out(); }
void cpu::mix_rows(bf16*, float*, const Streams<bf16>&, float, int64_t, int64_t) {
  fail_left_out();
}
const TileKernel* avx512_tile_kernel() { return nullptr; }
const TileKernel* avx512_bf16_tile_kernel() { return nullptr; }

void attention_by_products(CpuMatmul&, CpuScratch&, Out, Out, In, In, In, const AttentionShape&) {
  fail_left_out();
}
void attention_backward_by_products(CpuMatmul&, CpuScratch&, Out, Out, Out, In, In, In, In, In, In,
                                    const AttentionShape&) {
  fail_left_out();
}

}  // namespace pg
