// The specification of every op: double loops, no cleverness. Storage is f32, bf16 or f64;
// arithmetic is f64.
#pragma once
#include <memory>

#include "src/device/device.h"

namespace pg {

// storage: the type of activations and compute copies (kF32, kBF16 or kF64). With kF64 the tensors
// that ops.h marks f32 are f64 too, which is what finite differences need.
std::unique_ptr<Device> make_reference_device(DType storage);

}  // namespace pg
