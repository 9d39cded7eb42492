// V12: validation text in the training text. Val is kept as hashes and train streams past it, so
// that memory goes with val alone.
//
// Runs are of tokens, as many as 13 words take: the shingles of shingles.h without decoding, which
// would take minutes for a training set.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "eval/audit/audit_runner.h"
#include "src/data/corpus/shingles.h"
#include "src/data/corpus/token_runs.h"

namespace pg {
namespace {

double count_bytes_per_token(const TokenStream& val, const ByteTable& table) {
  int64_t bytes = 0, tokens = 0;
  visit_documents(val, [&](std::span<const int32_t> ids) {
    for (size_t i = 1; i < ids.size(); ++i) bytes += table.token_bytes(ids, i);
    tokens += static_cast<int64_t>(ids.size()) - 1;
  });
  return tokens > 0 ? static_cast<double>(bytes) / static_cast<double>(tokens) : 1.0;
}

}  // namespace

ProbeResult probe_overlap(const TokenStream& train, const TokenStream& val,
                          const ByteTable& bytes) {
  constexpr double kBytesPerWord = 6;  // English, with its space
  // Of val's runs; the published clean-ups leave a few percent of boilerplate and quotations.
  constexpr double kMostShared = 0.05;
  const double per_token = std::max(0.5, count_bytes_per_token(val, bytes));
  const auto run_tokens =
      static_cast<int64_t>(std::lround(kShingleWords * kBytesPerWord / per_token));

  std::unordered_set<uint64_t> documents;
  std::vector<uint64_t> runs;
  visit_documents(val, [&](std::span<const int32_t> ids) {
    append_runs(ids, run_tokens, runs);
    // Shorter ones are headings that anybody may write twice.
    if (static_cast<int64_t>(ids.size()) > run_tokens) documents.insert(hash_document(ids));
  });
  ShingleOverlap overlap(std::move(runs));
  std::unordered_set<uint64_t> shared;
  std::vector<uint64_t> seen;
  visit_documents(train, [&](std::span<const int32_t> ids) {
    seen.clear();
    append_runs(ids, run_tokens, seen);
    overlap.mark(seen);
    const uint64_t hash = hash_document(ids);
    if (documents.contains(hash)) shared.insert(hash);
  });
  const double share = overlap.distinct() > 0 ? static_cast<double>(overlap.marked()) /
                                                    static_cast<double>(overlap.distinct())
                                              : 0.0;
  return make_result(
      "V12", "overlap of train and val", shared.empty() && share <= kMostShared,
      fmt::format("{} of {} val documents stand in train, and {:.3f}% of the runs of {} tokens",
                  shared.size(), documents.size(), share * 100, run_tokens),
      {{"val_documents", static_cast<double>(documents.size())},
       {"shared_documents", static_cast<double>(shared.size())},
       {"run_tokens", static_cast<double>(run_tokens)},
       {"val_runs", static_cast<double>(overlap.distinct())},
       {"shared_runs", static_cast<double>(overlap.marked())}});
}

}  // namespace pg
