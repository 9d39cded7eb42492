// The gradients of keys and values, of which each chunk of a head has a share, whichever way
// attention computes.
#pragma once
#include <cstdint>

#include "src/base/threads.h"
#include "src/device/cpu/cpu_attention_chunks.h"
#include "src/device/cpu/cpu_scratch.h"

namespace pg::cpu {

// Calls run(chunk, sums) for each chunk, which leaves its share of dk and dv in sums [2][share], then
// write_head(batch, kv_head, sums) for each head with the shares of its chunks, [parts][2][share]. A
// head that is one chunk is written while its sums are in the cache. `slot` of the scratch is used.
template <class Tiling, class Run, class WriteHead>
void run_backward_chunks(const Tiling& tiling, CpuScratch& scratch, size_t slot, int64_t share,
                         const Run& run, const WriteHead& write_head) {
  const auto share_bytes = static_cast<size_t>(2 * share) * sizeof(float);
  const bool whole = tiling.parts == 1;
  float* const shared = whole ? nullptr
                              : static_cast<float*>(scratch.shared(
                                    slot, share_bytes * static_cast<size_t>(tiling.chunks())));
  parallel_chunks(tiling.chunks(), [&](int64_t index) {
    const AttentionChunk chunk(tiling, index);
    float* const sums =
        whole ? static_cast<float*>(scratch.of_thread(thread_index(), slot, share_bytes))
              : shared + index * 2 * share;
    run(chunk, sums);
    if (whole) write_head(chunk.batch, chunk.kv_head, sums);
  });
  if (whole) return;
  const int64_t heads = tiling.shape.kv_heads;
  parallel_chunks(tiling.shape.batch * heads, [&](int64_t head) {
    write_head(head / heads, head % heads, shared + head * tiling.parts * 2 * share);
  });
}

}  // namespace pg::cpu
