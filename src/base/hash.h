// Hashes: SHA-256 for what must not be forged or confused (artifacts, tokenizers, recipes), FNV-1a
// for cheap fingerprints.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>

namespace pg {

using Sha256 = std::array<uint8_t, 32>;

// FIPS 180-4.
Sha256 sha256(std::span<const uint8_t> bytes);
std::string hex(std::span<const uint8_t> bytes);

constexpr uint64_t kFnvOffset = 14695981039346656037ull;
constexpr uint64_t fnv1a(std::span<const uint8_t> bytes, uint64_t hash = kFnvOffset) {
  for (const uint8_t byte : bytes) hash = (hash ^ byte) * 1099511628211ull;
  return hash;
}

}  // namespace pg
