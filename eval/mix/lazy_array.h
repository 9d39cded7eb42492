// A fixed array of zeros that takes memory only where it is written: the tables of the n-gram
// experts are sized for the worst text and mostly stay smaller. Huge pages, because a random probe
// into gigabytes otherwise pays a page walk on top of the cache miss.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>

namespace pg {

namespace internal {
struct Unmap {
  size_t bytes = 0;
  void operator()(void* memory) const;
};
// Throws Error when the address space is refused.
std::unique_ptr<void, Unmap> map_zeros(size_t bytes);
}  // namespace internal

template <class T>
class LazyArray {
  static_assert(std::is_trivially_copyable_v<T>, "starts as zero bytes, never constructed");

 public:
  explicit LazyArray(size_t count)
      : memory_(internal::map_zeros((count + 1) * sizeof(T))), count_(count) {}

  size_t size() const { return count_; }
  T* data() const { return static_cast<T*>(memory_.get()); }
  T& operator[](size_t i) const { return data()[i]; }
  std::span<const T> first(size_t count) const { return {data(), count}; }

 private:
  std::unique_ptr<void, internal::Unmap> memory_;
  size_t count_ = 0;
};

// Digest of memory for state hashes: four independent lanes, so that gigabytes take a second.
uint64_t hash_memory(const void* memory, size_t bytes, uint64_t seed);

template <class T>
uint64_t hash_memory(std::span<const T> values, uint64_t seed) {
  static_assert(std::is_trivially_copyable_v<T>);  // and without padding
  return hash_memory(values.data(), values.size_bytes(), seed);
}

}  // namespace pg
