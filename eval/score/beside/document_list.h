// The documents of a stream, each with its chunks.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "eval/score/document_chunks.h"

namespace pg {

// Tokens [begin, end) of the stream, the BOS of the next document included, which is a target of this
// one. Chunks count from its first token.
struct Document {
  int64_t begin = 0, end = 0;
  std::vector<Chunk> chunks;
};

// In stream order; chunks of at most so many targets.
inline std::vector<Document> list_documents(std::span<const int32_t> stream, int64_t most_targets) {
  std::vector<Document> documents;
  bool has_ended = true;
  for (const Chunk& chunk : follow_documents(stream, most_targets)) {
    if (has_ended) documents.push_back({.begin = chunk.first - 1, .end = 0, .chunks = {}});
    Document& document = documents.back();
    document.chunks.push_back({chunk.first - document.begin, chunk.count});
    document.end = chunk.end();
    has_ended = stream[static_cast<size_t>(chunk.end()) - 1] == kBosId;
  }
  return documents;
}

}  // namespace pg
