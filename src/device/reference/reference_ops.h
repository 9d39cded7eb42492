// The specification: every op as the formula says, in double, on tensors of any storage type (f32,
// bf16, f64), one thread, no cleverness. Other devices are tested against it; the simt device
// derives from it for ops that have no kernel. Implemented in reference_ops.cpp,
// reference_ops_attention.cpp, reference_ops_gates.cpp and reference_ops_optimizer.cpp.
//
// Tensors that an op updates in place (adamw's p, m, v; newton_schulz's u; ...) are overwritten:
// Out::accumulate has no meaning for them.
#pragma once
#include "src/device/ops.h"

namespace pg {

class ReferenceOps : public Ops {
 public:
#include "src/device/op_overrides.inc"
};

}  // namespace pg
