// The specification of every op: double loops, no cleverness. Storage is f32, bf16 or f64;
// arithmetic is f64.
#pragma once
#include <memory>

#include "src/device/device.h"

namespace pg {

// storage: the type of activations and compute copies (kF32, kBF16 or kF64). With kF64 a plan is f64
// from the parameters to the loss, which is what other devices' gradients are measured against.
std::unique_ptr<Device> make_reference_device(DType storage);

}  // namespace pg
