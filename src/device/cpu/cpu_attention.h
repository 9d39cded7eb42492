// The two ways to compute causal attention on a processor. Tile kernels everywhere but where the
// library has matrix units that they lack.
#pragma once
#include "src/device/ops.h"

namespace pg {

class CpuMatmul;
class CpuScratch;
struct TileKernel;

// As Ops::attention and Ops::attention_backward.
void attention_by_tiles(const TileKernel& kernel, CpuScratch& scratch, Out y, Out lse, In q, In k,
                        In v, const AttentionShape& shape);
void attention_backward_by_tiles(const TileKernel& kernel, CpuScratch& scratch, Out dq, Out dk,
                                 Out dv, In dy, In y, In lse, In q, In k, In v,
                                 const AttentionShape& shape);

// For all queries: shape.first is 0.
void attention_by_products(CpuMatmul& matmul, CpuScratch& scratch, Out y, Out lse, In q, In k, In v,
                           const AttentionShape& shape);
void attention_backward_by_products(CpuMatmul& matmul, CpuScratch& scratch, Out dq, Out dk, Out dv,
                                    In dy, In y, In lse, In q, In k, In v,
                                    const AttentionShape& shape);

}  // namespace pg
