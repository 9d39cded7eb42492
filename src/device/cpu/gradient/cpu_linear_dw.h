// The gradient of a linear map's weights by tile kernels: both operands have their pairs along the
// rows, which costs our own packing one pass and the library's a transposition.
#pragma once
#include "src/device/ops.h"

namespace pg {

class CpuScratch;
struct TileKernel;

// Whether linear_dw_by_tiles computes such a gradient.
bool has_dw_tiles(const TileKernel& kernel, Out dw, In dy, int64_t rows, int64_t in, int64_t out);
// As Ops::linear_dw.
void linear_dw_by_tiles(const TileKernel& kernel, CpuScratch& scratch, Out dw, In dy, In x,
                        int64_t rows, int64_t in, int64_t out);

}  // namespace pg
