#include "src/data/corpus/token_runs.h"

#include <algorithm>

#include "src/base/rng.h"
#include "src/data/tokenizer.h"

namespace pg {

void visit_documents(const TokenStream& stream,
                     const std::function<void(std::span<const int32_t>)>& visit) {
  constexpr int64_t kReadTokens = int64_t{1} << 20;
  std::vector<int32_t> piece, document;
  for (int64_t at = 0; at < stream.size(); at += kReadTokens) {
    piece.resize(static_cast<size_t>(std::min(kReadTokens, stream.size() - at)));
    stream.read(at, piece);
    for (const int32_t id : piece) {
      if (id == kBosId && !document.empty()) {
        visit(document);
        document.clear();
      }
      document.push_back(id);
    }
  }
  if (!document.empty()) visit(document);
}

uint64_t hash_document(std::span<const int32_t> ids) {
  uint64_t hash = ids.size();
  for (const int32_t id : ids) hash = mix64(hash ^ static_cast<uint64_t>(id));
  return hash;
}

// A polynomial in kBase, rolled along.
void append_runs(std::span<const int32_t> ids, int64_t length, std::vector<uint64_t>& runs) {
  constexpr uint64_t kBase = 0x9e3779b97f4a7c15ull | 1;
  uint64_t leaving = 1;  // kBase^length
  for (int64_t i = 0; i < length; ++i) leaving *= kBase;
  const auto n = static_cast<size_t>(length);
  uint64_t hash = 0;
  for (size_t i = 1; i < ids.size(); ++i) {
    hash = hash * kBase + static_cast<uint64_t>(ids[i]) + 1;
    if (i > n) hash -= leaving * (static_cast<uint64_t>(ids[i - n]) + 1);
    if (i >= n) runs.push_back(mix64(hash));
  }
}

}  // namespace pg
