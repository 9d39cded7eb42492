// Documents encoded on all threads and handed on in their order: the loop that tokenising and
// `corpus info` share.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "src/data/corpus/corpus.h"
#include "src/data/corpus/documents.h"
#include "src/data/corpus/text_codec.h"

namespace pg {

struct EncodedDocument {
  std::string text;
  std::vector<int32_t> ids;  // [T], BOS first
  int64_t target_bytes = 0;
  bool is_normalised = false;  // normalisation changed its length in bytes
  // target_bytes is not the length of the decoded text, or nobody knows that length: it holds
  // unknown tokens.
  bool has_byte_mismatch = false;
  int64_t decoded_bytes = 0;  // with has_byte_mismatch
  int64_t unknown_tokens = 0;
  bool is_val = false;  // by sha256(text) mod val_every
};

using DocumentVisitor =
    std::function<void(const EncodedDocument& document, const std::string& place)>;

// Calls visit for every document that is not blank, in order, on the calling thread; gives the
// blank ones. val_every 0: none is val. Throws what DocumentReader throws.
LeftOut encode_documents(DocumentReader& reader, const TextCodec& codec, int64_t val_every,
                         const DocumentVisitor& visit, const CorpusProgressFn& progress,
                         int64_t batch_bytes = kBatchBytes);

// Fills text and target_bytes of a document whose ids came from a shard.
void account_document(const TextCodec& codec, EncodedDocument& document);

// Counts one document into the figures of its split.
void add_document(const EncodedDocument& document, SplitSummary& summary);

}  // namespace pg
