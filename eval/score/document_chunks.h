// Chunks that follow the documents of a stream: the first begins with the stream's first target and
// every other where the one before ends, after so many targets, behind the BOS of the next document
// or with the stream. A decoder finds the same ends, since it knows a BOS when it has decoded it.
#pragma once
// <parts>
#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "eval/score/scorer.h"
#include "src/data/tokenizer.h"

namespace pg {

// The chunk that begins at target `first`, of a text without a further BOS.
inline Chunk longest_chunk(int64_t first, int64_t most_targets, int64_t tokens) {
  return {.first = first, .count = std::min(most_targets, tokens - first)};
}

inline std::vector<Chunk> follow_documents(std::span<const int32_t> stream, int64_t most_targets) {
  const auto tokens = static_cast<int64_t>(stream.size());
  std::vector<Chunk> chunks;
  for (int64_t first = 1; first < tokens; first = chunks.back().end()) {
    Chunk chunk = longest_chunk(first, most_targets, tokens);
    for (int64_t t = first; t < chunk.end(); ++t) {
      if (stream[static_cast<size_t>(t)] == kBosId) chunk.count = t + 1 - first;
    }
    chunks.push_back(chunk);
  }
  return chunks;
}

}  // namespace pg
// </parts>
