// A thread a row; what neighbours read again comes from the cache.
#include "kernels/bigram_hash.h"

#include "kernels/dialect.h"
#include "kernels/row_reduce.h"

namespace pg::kernels {
inline namespace bigram_hash_kernels {

__global__ void __launch_bounds__(kBlockThreads)
    bigram_hash_kernel(int32_t* __restrict__ hashed, const int32_t* __restrict__ ids, int64_t rows,
                       int64_t tokens, int32_t modulus, int64_t first, int ids_before) {
  const int64_t row = int64_t{blockIdx.x} * kBlockThreads + threadIdx.x;
  if (row >= rows) return;
  if ((first + row) % tokens < ids_before) {
    hashed[row] = modulus;
    return;
  }
  uint32_t mixed =
      36313u * static_cast<uint32_t>(ids[row]) ^ 27191u * static_cast<uint32_t>(ids[row - 1]);
  if (ids_before == 2) mixed ^= 51497u * static_cast<uint32_t>(ids[row - 2]);
  // Ids above 59136 wrap to negative products; the remainder stays a bucket.
  const int32_t remainder = static_cast<int32_t>(mixed) % modulus;
  hashed[row] = remainder < 0 ? remainder + modulus : remainder;
}

}  // namespace bigram_hash_kernels

void bigram_hash(int32_t* hashed, const int32_t* ids, int64_t rows, int64_t tokens, int64_t buckets,
                 int64_t first, bool trigram, Stream stream) {
  if (rows == 0) return;
  const dim3 grid(static_cast<unsigned>((rows + kBlockThreads - 1) / kBlockThreads));
  launch(&bigram_hash_kernel, grid, dim3(kBlockThreads), 0, stream, hashed, ids, rows, tokens,
         buckets - 1, first, trigram ? 2 : 1);
}

}  // namespace pg::kernels
