// Text in, token shards out, and figures about both. A corpus is a folder of .txt files, one .txt
// file or a .jsonl file (documents.h says how each is cut into documents).
//
// Beside the shards of each split stands <name>_<split>_manifest.json, which names the tokenizer:
// shards alone do not say who made them, and a model trained on one tokenizer's ids but scored with
// another's bytes gives a wrong figure.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/hash.h"

namespace pg {

// How far a pass over a corpus is.
struct CorpusProgress {
  int64_t documents = 0;
  int64_t text_bytes = 0;
  double share = 0;  // of the input that has been read, 0 to 1
};
// Called now and then.
using CorpusProgressFn = std::function<void(const CorpusProgress&)>;

// Text a thread takes on at once: some seconds of work, several of the longest documents that a
// folder gives, and what bounds the memory.
inline constexpr int64_t kBatchBytes = int64_t{4} << 20;

struct TokenizeOptions {
  std::filesystem::path input;
  std::filesystem::path tokenizer;
  std::filesystem::path output_folder;
  std::string name = "corpus";  // shards are <name>_<split>_000000.bin, 000001, ...
  int64_t val_every =
      20;  // a document is in val when sha256(text) mod val_every is 0; 0: all go to `split`
  std::string split = "train";         // where all documents go when val_every is 0
  int64_t shard_tokens = 100'000'000;  // tokens a shard holds at most
  int64_t batch_bytes = kBatchBytes;
  CorpusProgressFn progress;
};

struct SplitSummary {
  std::string split;
  int64_t documents = 0;
  int64_t text_bytes = 0;    // UTF-8 as read
  int64_t target_bytes = 0;  // as the byte table charges them; the denominator of bits per byte
  int64_t tokens = 0;        // with one BOS a document
  int64_t normalised_documents = 0;  // whose length the normalisation changes
  int64_t byte_mismatch_documents =
      0;  // whose target bytes are not the length of their normalised text
  double bytes_per_token() const {
    return tokens == 0 ? 0.0 : static_cast<double>(target_bytes) / static_cast<double>(tokens);
  }
};

struct TokenizeSummary {
  std::vector<SplitSummary> splits;  // train and val, or the one split named
  std::vector<std::filesystem::path> shards;
  int64_t empty_documents = 0;  // left out
};

// Writes <output_folder>/<name>_<split>_%06d.bin and the manifests; the same input gives the same
// bytes for any number of threads. Shards of an earlier run under the same name are replaced.
// Throws Error.
TokenizeSummary tokenize_corpus(const TokenizeOptions& options);

// Throws Error when the manifest beside one of the shards names another tokenizer or an unfinished
// run. `shards` is a folder, a file or a glob; shards without a manifest (the challenge's own)
// pass.
void check_tokenizer_of_shards(std::string_view shards, const Sha256& tokenizer_sha256);

struct CorpusInfoOptions {
  // Text as for TokenizeOptions, or shards: a file or glob that ends in ".bin". A folder that holds
  // train.jsonl stands for that file and, when `val` is empty, for the val.jsonl beside it.
  std::string train;
  std::string val;  // may be empty: no figures on val and on overlap
  std::filesystem::path tokenizer;
  CorpusProgressFn progress;
};

struct CorpusInfo {
  SplitSummary train;
  SplitSummary val;
  int64_t val_shingles = 0;     // distinct runs of 13 words in val
  int64_t shared_shingles = 0;  // of those, how many occur in train
  double overlap() const {
    return val_shingles == 0
               ? 0.0
               : static_cast<double>(shared_shingles) / static_cast<double>(val_shingles);
  }
};

CorpusInfo corpus_info(const CorpusInfoOptions& options);

}  // namespace pg
