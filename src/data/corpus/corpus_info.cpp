// `corpus info`: what a corpus is worth and whether its val text leaked into train. Val is read
// first and kept as hashes; train streams past it, so the memory needed does not grow with train.
#include <fmt/format.h>

#include <algorithm>

#include "src/base/error.h"
#include "src/data/corpus/corpus.h"
#include "src/data/corpus/encoded_documents.h"
#include "src/data/corpus/open_data.h"
#include "src/data/corpus/shard_checks.h"
#include "src/data/corpus/shingles.h"
#include "src/data/token_file.h"

namespace pg {
namespace {

using Visit = std::function<void(const EncodedDocument&)>;

// Documents of shards, decoded. Their text is the normalised one, so only ids, bytes and shingles
// mean something.
void visit_shards(const std::string& shards, const TextCodec& codec, const Visit& visit,
                  const CorpusProgressFn& progress, std::vector<std::string>& notes) {
  for (std::string& fault : find_shard_faults(shards, codec.tokenizer().sha256())) {
    notes.push_back(std::move(fault));
  }
  const TokenStream stream = open_shard_files(shards, codec.tokenizer().vocab_size());
  for (std::string& fault : find_content_faults(stream)) notes.push_back(std::move(fault));
  constexpr int64_t kReadTokens = int64_t{1} << 20;
  std::vector<int32_t> piece;
  EncodedDocument document;
  int64_t documents = 0, text_bytes = 0;
  const auto finish_document = [&] {
    if (document.ids.empty()) return;
    account_document(codec, document);
    ++documents;
    text_bytes += static_cast<int64_t>(document.text.size());
    visit(document);
    document = {};
  };
  for (int64_t at = 0; at < stream.size(); at += kReadTokens) {
    piece.resize(static_cast<size_t>(std::min(kReadTokens, stream.size() - at)));
    stream.read(at, piece);
    for (const int32_t id : piece) {
      if (id == kBosId) finish_document();
      document.ids.push_back(id);
    }
    if (progress) {
      const auto read = static_cast<double>(at) + static_cast<double>(piece.size());
      progress({documents, text_bytes, read / static_cast<double>(stream.size())});
    }
  }
  finish_document();
}

void visit_corpus(const std::string& corpus, const TextCodec& codec, const Visit& visit,
                  const CorpusProgressFn& progress, std::vector<std::string>& notes) {
  if (corpus.ends_with(".bin")) {
    visit_shards(corpus, codec, visit, progress, notes);
    return;
  }
  DocumentReader reader(corpus);
  const LeftOut empty = encode_documents(
      reader, codec, /*val_every=*/0,
      [&](const EncodedDocument& document, const std::string&) { visit(document); }, progress);
  std::vector<LeftOut> left_out = reader.left_out();
  if (empty.count > 0) left_out.push_back(empty);
  for (const std::string& line : describe_left_out(left_out)) notes.push_back("left out: " + line);
}

// A folder with train.jsonl stands for its two files.
void resolve_folder(std::string& train, std::string& val) {
  const std::filesystem::path folder = train;
  std::error_code ignored;  // what cannot be looked at says so when it is opened
  if (!std::filesystem::is_regular_file(folder / "train.jsonl", ignored)) return;
  if (val.empty() && std::filesystem::is_regular_file(folder / "val.jsonl", ignored)) {
    val = (folder / "val.jsonl").string();
  }
  train = (folder / "train.jsonl").string();
}

}  // namespace

CorpusInfo corpus_info(const CorpusInfoOptions& options) {
  std::string train = options.train, val = options.val;
  resolve_folder(train, val);
  const Tokenizer tokenizer = open_tokenizer_file(options.tokenizer);
  const TextCodec codec(tokenizer);
  CorpusInfo info;
  info.train.split = "train";
  info.val.split = "val";
  std::vector<uint64_t> shingles;
  if (!val.empty()) {
    visit_corpus(
        val, codec,
        [&](const EncodedDocument& document) {
          add_document(document, info.val);
          append_shingles(document.text, shingles);
        },
        options.progress, info.notes);
  }
  ShingleOverlap overlap(std::move(shingles));
  std::vector<uint64_t> seen;
  visit_corpus(
      train, codec,
      [&](const EncodedDocument& document) {
        add_document(document, info.train);
        seen.clear();
        append_shingles(document.text, seen);
        overlap.mark(seen);
      },
      options.progress, info.notes);
  info.val_shingles = overlap.distinct();
  info.shared_shingles = overlap.marked();
  return info;
}

}  // namespace pg
