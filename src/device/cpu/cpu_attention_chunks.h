// How attention cuts its work, whichever way it computes: chunks of kv heads.
#pragma once
#include <cstdint>

namespace pg::cpu {

// The part of a chunk: one kv head of one row of the batch, and some of its query blocks.
struct AttentionChunk {
  template <class Tiling>
  AttentionChunk(const Tiling& tiling, int64_t chunk)
      : part(chunk % tiling.parts),
        kv_head(chunk / tiling.parts % tiling.shape.kv_heads),
        batch(chunk / tiling.parts / tiling.shape.kv_heads) {}
  int64_t part, kv_head, batch;
};

}  // namespace pg::cpu
