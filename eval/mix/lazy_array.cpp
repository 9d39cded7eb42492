#include "eval/mix/lazy_array.h"

#include <sys/mman.h>

#include <cstring>
#include <string>

#include "src/base/error.h"
#include "src/base/rng.h"

namespace pg {

void internal::Unmap::operator()(void* memory) const { munmap(memory, bytes); }

std::unique_ptr<void, internal::Unmap> internal::map_zeros(size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    throw Error("no room for a table of the n-gram experts: \"" + std::to_string(bytes) +
                "\" bytes; score fewer tokens or free memory");
  }
  madvise(memory, bytes, MADV_HUGEPAGE);  // only speed depends on it
  return {memory, Unmap{bytes}};
}

uint64_t hash_memory(const void* memory, size_t bytes, uint64_t seed) {
  constexpr size_t kLanes = 4;
  const auto* at = static_cast<const unsigned char*>(memory);
  uint64_t lanes[kLanes], words[kLanes];
  for (size_t k = 0; k < kLanes; ++k) lanes[k] = mix64(seed + k);
  size_t left = bytes;
  const auto absorb = [&] {
    for (size_t k = 0; k < kLanes; ++k) {
      const uint64_t product = (lanes[k] ^ words[k]) * 0x9e3779b97f4a7c15ull;
      lanes[k] = product ^ (product >> 29);
    }
  };
  for (; left >= sizeof(words); left -= sizeof(words), at += sizeof(words)) {
    std::memcpy(words, at, sizeof(words));
    absorb();
  }
  std::memset(words, 0, sizeof(words));
  std::memcpy(words, at, left);
  absorb();
  uint64_t hash = mix64(bytes);
  for (const uint64_t lane : lanes) hash = mix64(hash ^ lane);
  return hash;
}

}  // namespace pg
