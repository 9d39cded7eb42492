// What codes of some bits may be.
#pragma once

namespace pg {

constexpr int kHalfBits = 16;  // QuantTensor::bits of a tensor kept in fp16

// Largest code magnitude of b bits: symmetric, so that -q exists for every q.
constexpr int max_code(int bits) { return (1 << (bits - 1)) - 1; }

}  // namespace pg
