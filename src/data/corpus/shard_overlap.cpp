// Validation text in the training text, looked for before hours are spent on it. Two rules: whole
// documents, in whatever order, and runs of kRunTokens, wherever documents begin. Val is kept as
// hashes and train streams past it. What this passes may still fail V12 (eval/audit), which
// searches all of train for short runs and takes minutes.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <unordered_set>
#include <utility>

#include "src/data/corpus/shard_checks.h"
#include "src/data/corpus/shingles.h"
#include "src/data/corpus/token_runs.h"
#include "src/text/text_format.h"

namespace pg {
namespace {

// A run so long, about a page, is no quotation; short documents are no run.
constexpr int64_t kRunTokens = 512;
constexpr int64_t kSampledRuns = 4096;  // of val, evenly
// Shorter ones are headings that anybody may write twice.
constexpr size_t kLeastDocumentTokens = 32;
// Of train: so much of it at most, less than half a second, in even pieces. They are small, so that
// of 8 billion tokens a copy of the challenge's validation text holds four.
constexpr int64_t kMostSearched = int64_t{1} << 25;
constexpr int64_t kPieceTokens = int64_t{1} << 16;
// The share of val that makes a score another number, as in V12; web text shares less by itself.
constexpr double kMostShared = 0.05;

// The first file that both name, if any.
DataFaults find_same_files(const TokenStream& train, const TokenStream& val) {
  std::map<std::pair<dev_t, ino_t>, std::filesystem::path> files;
  struct stat info = {};
  for (const std::filesystem::path& path : train.paths()) {
    if (::stat(path.c_str(), &info) == 0) files[{info.st_dev, info.st_ino}] = path;
  }
  for (const std::filesystem::path& path : val.paths()) {
    if (::stat(path.c_str(), &info) != 0) continue;
    const auto same = files.find({info.st_dev, info.st_ino});
    if (same == files.end()) continue;
    return {fmt::format(
        "validation on training text: \"{}\" and \"{}\" are the same file; give other shards as "
        "data.val_shards or data.train_shards",
        path.string(), same->second.string())};
  }
  return {};
}

// The documents that lie whole inside the ids of a piece.
template <class Visit>
void visit_whole_documents(std::span<const int32_t> ids, bool is_whole_stream, const Visit& visit) {
  const auto next_bos = [&](auto from) { return std::find(from, ids.end(), kBosId); };
  auto begin = is_whole_stream ? ids.begin() : next_bos(ids.begin());
  while (begin != ids.end()) {
    const auto end = next_bos(begin + 1);
    if (end == ids.end() && !is_whole_stream) return;
    visit(std::span<const int32_t>(begin, end));
    begin = end;
  }
}

struct Sample {
  std::vector<int64_t> starts;  // of pieces of train
  double share = 1;             // of train that they cover
};

Sample choose_pieces(int64_t train_tokens) {
  const int64_t pieces = (train_tokens + kPieceTokens - 1) / kPieceTokens;
  const int64_t taken = std::min(pieces, kMostSearched / kPieceTokens);
  Sample sample;
  for (int64_t i = 0; i < taken; ++i) sample.starts.push_back(i * pieces / taken * kPieceTokens);
  sample.share = static_cast<double>(taken) / static_cast<double>(std::max<int64_t>(1, pieces));
  return sample;
}

class OverlapSearch {
 public:
  explicit OverlapSearch(const TokenStream& val) : runs_(sample_runs(val)) {
    visit_documents(val, [&](std::span<const int32_t> ids) {
      if (ids.size() >= kLeastDocumentTokens) documents_.insert(hash_document(ids));
    });
  }

  void search(const TokenStream& train, const Sample& sample) {
    std::vector<int32_t> ids;
    std::vector<uint64_t> seen;
    for (const int64_t start : sample.starts) {
      // With what a run that begins in the piece takes beyond it.
      const int64_t end = std::min(train.size(), start + kPieceTokens + kRunTokens);
      ids.resize(static_cast<size_t>(end - start));
      train.read(start, ids);
      seen.clear();
      append_runs(ids, kRunTokens, seen);
      runs_.mark(seen);
      const bool is_all = start == 0 && end == train.size();
      visit_whole_documents(ids, is_all, [&](std::span<const int32_t> document) {
        const uint64_t hash = hash_document(document);
        if (documents_.contains(hash)) shared_documents_.insert(hash);
      });
    }
  }

  int64_t documents() const { return static_cast<int64_t>(documents_.size()); }
  int64_t shared_documents() const { return static_cast<int64_t>(shared_documents_.size()); }
  int64_t runs() const { return runs_.distinct(); }
  int64_t shared_runs() const { return runs_.marked(); }

 private:
  static std::vector<uint64_t> sample_runs(const TokenStream& val) {
    std::vector<uint64_t> runs;
    const int64_t places = val.size() - kRunTokens;
    const int64_t taken = std::min(kSampledRuns, places);
    // A piece at a time: in a short text the samples overlap, and a read each is thousands.
    std::vector<int32_t> piece;
    int64_t piece_start = 0;
    for (int64_t i = 0; i < taken; ++i) {
      const int64_t start = i * places / taken, end = start + kRunTokens + 1;
      if (end > piece_start + std::ssize(piece)) {
        piece_start = start;
        piece.resize(static_cast<size_t>(std::min(kPieceTokens, val.size() - start)));
        val.read(piece_start, piece);
      }
      append_runs(std::span(piece).subspan(static_cast<size_t>(start - piece_start),
                                           static_cast<size_t>(kRunTokens) + 1),
                  kRunTokens, runs);
    }
    return runs;
  }

  ShingleOverlap runs_;
  std::unordered_set<uint64_t> documents_, shared_documents_;
};

}  // namespace

DataFaults find_overlap_faults(const TokenStream& train, const TokenStream& val) {
  DataFaults faults = find_same_files(train, val);
  if (!faults.empty()) return faults;
  const Sample sample = choose_pieces(train.size());
  OverlapSearch search(val);
  search.search(train, sample);
  const auto is_too_much = [&](int64_t shared, int64_t all) {
    return static_cast<double>(shared) > kMostShared * sample.share * static_cast<double>(all);
  };
  if (is_too_much(search.shared_documents(), search.documents()) ||
      is_too_much(search.shared_runs(), search.runs())) {
    faults.push_back(fmt::format(
        "validation on training text: {} of {} validation documents and {} of {} samples of {} "
        "tokens stand in {:.3g}% of the training text too; give other shards as data.val_shards or "
        "data.train_shards",
        format_thousands(search.shared_documents()), format_thousands(search.documents()),
        format_thousands(search.shared_runs()), format_thousands(search.runs()), kRunTokens,
        100 * sample.share));
  }
  return faults;
}

}  // namespace pg
