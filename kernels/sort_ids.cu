// A stable radix sort by digits of ten bits, the lowest first: one pass for up to 1024 ids, two for
// up to a million. Per pass a kernel counts the digits of each chunk of rows, and a second one gives
// every row its place: after all rows of a lower digit, those of its digit in earlier chunks, in
// earlier warps' shares of the chunk, in earlier steps, and in lower lanes. Atomics count integers
// only, so no order of theirs shows.
#include "kernels/sort_ids.h"

#include "kernels/dialect.h"
#include "kernels/row_reduce.h"

namespace pg::kernels {
inline namespace sort_ids_kernels {

constexpr int kDigitBits = 10;
constexpr int kDigits = 1 << kDigitBits;
constexpr int kDigitsPerThread = kDigits / kBlockThreads;
constexpr int kCountsPerPack = 4;  // in 16 bytes
static_assert(kDigitsPerThread == kCountsPerPack);
constexpr int64_t kLeastChunk = 1024;  // fewer rows would be less work than to start from zero
constexpr int64_t kMostChunks = 128;   // every block reads the counts of all

int64_t rows_per_sort_chunk(int64_t rows) {
  const int64_t even = (rows + kMostChunks - 1) / kMostChunks;
  const int64_t whole = (even + kBlockThreads - 1) / kBlockThreads * kBlockThreads;
  return whole < kLeastChunk ? kLeastChunk : whole;
}
int64_t count_sort_chunks(int64_t rows) {
  return (rows + rows_per_sort_chunk(rows) - 1) / rows_per_sort_chunk(rows);
}

__device__ __forceinline__ int digit_of(int32_t id, int shift) {
  return static_cast<int>(static_cast<unsigned>(id) >> shift) & (kDigits - 1);
}

// counts[chunks, kDigits]
__global__ void __launch_bounds__(kBlockThreads)
    count_digits_kernel(int32_t* __restrict__ counts, const int32_t* __restrict__ ids, int64_t rows,
                        int rows_per_chunk, int shift) {
  __shared__ int count[kDigits];
  const int thread = static_cast<int>(threadIdx.x);
  for (int digit = thread; digit < kDigits; digit += kBlockThreads) count[digit] = 0;
  __syncthreads();
  const int64_t first = int64_t{blockIdx.x} * rows_per_chunk;
  for (int i = thread; i < rows_per_chunk; i += kBlockThreads) {
    if (first + i < rows) atomicAdd(&count[digit_of(ids[first + i], shift)], 1);
  }
  __syncthreads();
  for (int digit = thread; digit < kDigits; digit += kBlockThreads) {
    counts[int64_t{blockIdx.x} * kDigits + digit] = count[digit];
  }
}

struct DigitCounts {
  int before[kDigitsPerThread] = {};  // in earlier chunks
  int total[kDigitsPerThread] = {};
};

// Of the digits that this thread has to do with, kDigitsPerThread threadIdx.x and on.
__device__ __forceinline__ DigitCounts add_chunks(const int32_t* __restrict__ counts, int chunks) {
  constexpr int kAhead = 8;
  const int chunk = static_cast<int>(blockIdx.x);
  const int32_t* const mine = counts + kDigitsPerThread * threadIdx.x;
  DigitCounts sums;
  for (int first = 0; first < chunks; first += kAhead) {
    uint4 loaded[kAhead];
    PG_UNROLL
    for (int i = 0; i < kAhead; ++i) {
      loaded[i] = first + i < chunks ? load_16_bytes(mine + int64_t{first + i} * kDigits) : uint4{};
    }
    PG_UNROLL
    for (int i = 0; i < kAhead; ++i) {
      const unsigned values[kDigitsPerThread] = {loaded[i].x, loaded[i].y, loaded[i].z,
                                                 loaded[i].w};
      PG_UNROLL
      for (int k = 0; k < kDigitsPerThread; ++k) {
        sums.total[k] += static_cast<int>(values[k]);
        if (first + i < chunk) sums.before[k] += static_cast<int>(values[k]);
      }
    }
  }
  return sums;
}

// Sum of `value` over this thread and those before it in the warp.
__device__ __forceinline__ int warp_running_sum(int value) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpThreads;
  PG_UNROLL
  for (int distance = 1; distance < kWarpThreads; distance *= 2) {
    const int from_before = __shfl_up_sync(kWholeWarp, value, static_cast<unsigned>(distance));
    if (lane >= distance) value += from_before;
  }
  return value;
}

// Lanes with valid rows of this lane's digit.
__device__ __forceinline__ unsigned lanes_of_digit(int digit, bool is_valid) {
  unsigned peers = __ballot_sync(kWholeWarp, is_valid);
  PG_UNROLL
  for (int bit = 0; bit < kDigitBits; ++bit) {
    const bool is_set = (digit >> bit & 1) != 0;
    const unsigned set = __ballot_sync(kWholeWarp, is_set);
    peers &= is_set ? set : ~set;
  }
  return peers;
}

// One pass; `rows_in` null: row i is i.
__global__ void __launch_bounds__(kBlockThreads)
    place_rows_kernel(int32_t* __restrict__ ids_out, int32_t* __restrict__ rows_out,
                      const int32_t* __restrict__ ids, const int32_t* __restrict__ rows_in,
                      const int32_t* __restrict__ counts, int64_t rows, int rows_per_chunk,
                      int chunks, int shift) {
  __shared__ int next[kBlockWarps][kDigits];  // place of each warp's next row of a digit
  __shared__ int warp_totals[kBlockWarps];
  const int thread = static_cast<int>(threadIdx.x);
  const int warp = thread / kWarpThreads, lane = thread % kWarpThreads;
  const int share = rows_per_chunk / kBlockWarps;
  const int64_t first = int64_t{blockIdx.x} * rows_per_chunk + warp * share;
  const int64_t end = first + share < rows ? first + share : rows;

  int* const own = next[warp];
  for (int digit = lane; digit < kDigits; digit += kWarpThreads) own[digit] = 0;
  __syncwarp();
  for (int64_t i = first + lane; i < end; i += kWarpThreads) {
    atomicAdd(&own[digit_of(ids[i], shift)], 1);
  }
  const DigitCounts sums = add_chunks(counts, chunks);
  int of_thread = 0;
  PG_UNROLL
  for (int k = 0; k < kDigitsPerThread; ++k) of_thread += sums.total[k];
  const int running = warp_running_sum(of_thread);
  if (lane == kWarpThreads - 1) warp_totals[warp] = running;
  __syncthreads();
  int place = running - of_thread;  // of the first row of this thread's digits
  for (int before = 0; before < warp; ++before) place += warp_totals[before];
  PG_UNROLL
  for (int k = 0; k < kDigitsPerThread; ++k) {
    int place_of_warp = place + sums.before[k];
    place += sums.total[k];
    for (int w = 0; w < kBlockWarps; ++w) {
      int& slot = next[w][thread * kDigitsPerThread + k];
      const int count = slot;
      slot = place_of_warp;
      place_of_warp += count;
    }
  }
  __syncthreads();

  const unsigned lanes_below = (1u << lane) - 1;
  for (int64_t step = first; step < end; step += kWarpThreads) {
    const int64_t i = step + lane;
    const bool is_valid = i < end;
    const int32_t id = is_valid ? ids[i] : 0;
    const int digit = digit_of(id, shift);
    const unsigned peers = lanes_of_digit(digit, is_valid);
    const int before = __popc(peers & lanes_below);
    const int to = own[digit] + before;
    __syncwarp();
    if (is_valid) {
      if (before == 0) own[digit] += __popc(peers);
      ids_out[to] = id;
      rows_out[to] = rows_in == nullptr ? static_cast<int32_t>(i) : rows_in[i];
    }
    __syncwarp();
  }
}

// starts[v]: a binary search for the first of sorted[rows] that is not below v.
__global__ void __launch_bounds__(kBlockThreads)
    find_starts_kernel(int32_t* __restrict__ starts, const int32_t* __restrict__ sorted, int rows,
                       int64_t vocab) {
  const int64_t v = int64_t{blockIdx.x} * kBlockThreads + threadIdx.x;
  if (v > vocab) return;
  int low = 0, high = rows;
  while (low < high) {
    const int middle = low + (high - low) / 2;
    if (sorted[middle] < v) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  starts[v] = low;
}

}  // namespace sort_ids_kernels

int64_t count_sort_values(int64_t rows, int64_t vocab) {
  return kCountsPerPack - 1 + count_sort_chunks(rows) * kDigits + 4 * rows + vocab + 1;
}

SortedIds sort_ids(int32_t* work, const int32_t* ids, int64_t rows, int64_t vocab, Stream stream) {
  const int64_t chunks = count_sort_chunks(rows);
  const int rows_per_chunk = static_cast<int>(rows_per_sort_chunk(rows));
  // What is read 16 bytes at a time starts at a multiple of them.
  const auto past =
      static_cast<int64_t>(reinterpret_cast<uintptr_t>(work) / sizeof(int32_t)) % kCountsPerPack;
  int32_t* const counts = work + (kCountsPerPack - past) % kCountsPerPack;
  int32_t* const buffers = counts + chunks * kDigits;
  int32_t* const starts = buffers + 4 * rows;
  SortedIds sorted{ids, nullptr, starts};
  int pass = 0;
  do {
    const int shift = pass * kDigitBits;
    int32_t* const ids_out = buffers + pass % 2 * 2 * rows;
    int32_t* const rows_out = ids_out + rows;
    if (rows > 0) {
      const dim3 grid(static_cast<unsigned>(chunks));
      launch(&count_digits_kernel, grid, dim3(kBlockThreads), 0, stream, counts, sorted.ids, rows,
             rows_per_chunk, shift);
      launch(&place_rows_kernel, grid, dim3(kBlockThreads), 0, stream, ids_out, rows_out,
             sorted.ids, sorted.rows, counts, rows, rows_per_chunk, static_cast<int>(chunks),
             shift);
    }
    sorted.ids = ids_out;
    sorted.rows = rows_out;
    ++pass;
  } while ((vocab - 1) >> (pass * kDigitBits) > 0);
  launch(&find_starts_kernel, dim3(static_cast<unsigned>((vocab + kBlockThreads) / kBlockThreads)),
         dim3(kBlockThreads), 0, stream, starts, sorted.ids, static_cast<int>(rows), vocab);
  return sorted;
}

}  // namespace pg::kernels
