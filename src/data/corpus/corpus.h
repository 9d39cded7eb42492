// Text in, token shards out, and figures about both. A corpus is a folder of .txt files, one .txt
// file or a .jsonl file (documents.h says how each is cut into documents).
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "src/data/corpus/shard_manifest.h"

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
  // Where all documents go when val_every is 0; empty: train. An error when val_every is not 0.
  std::string split;
  int64_t shard_tokens = 100'000'000;  // tokens a shard holds at most
  // The text goes through the case transform; the tokenizer must have its operators. Beside each
  // shard that may be scored, of any split but train, a byte side file is written
  // (byte_file_checks.h).
  bool has_case_ops = false;
  // Replaces shards that were made of other text, and writes shards whose bytes are not exact.
  bool force = false;
  int64_t batch_bytes = kBatchBytes;
  CorpusProgressFn progress;
  std::function<void()> end_if_asked = [] {};  // before each document; throws to end the work
};

struct TokenizeSummary {
  std::vector<SplitSummary> splits;  // train and val, or the one split named
  std::vector<std::filesystem::path> shards;
  int64_t empty_documents = 0;        // left out
  std::vector<std::string> left_out;  // all that was, one text a kind
};

// Writes <output_folder>/<name>_<split>_%06d.bin and the manifests; the same input gives the same
// bytes for any number of threads. Shards of an earlier run on the same text are replaced when all
// new ones are there, which takes the room of both. Throws Error; unless `force` also where shards of another text are in the way, and for a document whose
// tokens are charged with other bytes than it has.
TokenizeSummary tokenize_corpus(const TokenizeOptions& options);

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
  int64_t val_shingles = 0;        // distinct runs of 13 words in val
  int64_t shared_shingles = 0;     // of those, how many occur in train
  std::vector<std::string> notes;  // what was left out, and where shards are not their manifest's
  double overlap() const {
    return val_shingles == 0
               ? 0.0
               : static_cast<double>(shared_shingles) / static_cast<double>(val_shingles);
  }
};

CorpusInfo corpus_info(const CorpusInfoOptions& options);

}  // namespace pg
