// Batches of documents: read serially, encoded in parallel, visited serially. A batch is bounded by
// text, not by documents, so that both short and long ones keep all threads busy in little memory.
#include "src/data/corpus/encoded_documents.h"

#include "src/base/bytes.h"
#include "src/base/hash.h"
#include "src/base/threads.h"

namespace pg {
namespace {

constexpr size_t kBatchBytes = size_t{4} << 20;

std::vector<EncodedDocument> read_batch(DocumentReader& reader) {
  std::vector<EncodedDocument> batch;
  size_t bytes = 0;
  while (bytes < kBatchBytes) {
    EncodedDocument document;
    if (!reader.next(document.text)) break;
    bytes += document.text.size();
    batch.push_back(std::move(document));
  }
  return batch;
}

// The first 32 bits of the text's SHA-256 decide, so a text lands on the same side in every corpus
// that holds it.
bool is_val_text(std::string_view text, int64_t val_every) {
  if (val_every == 0) return false;
  const Sha256 digest = sha256(as_bytes(text));
  const uint32_t head = uint32_t{digest[0]} << 24 | uint32_t{digest[1]} << 16 |
                        uint32_t{digest[2]} << 8 | uint32_t{digest[3]};
  return head % val_every == 0;
}

// Sum over the targets after the BOS; the space before a document's first word is free.
int64_t sum_target_bytes(const ByteTable& table, std::span<const int32_t> ids) {
  int64_t bytes = 0;
  for (size_t i = 1; i < ids.size(); ++i) bytes += table.target_bytes(ids[i - 1], ids[i]);
  return bytes;
}

// Decodes, takes the byte account, and gives the decoded text.
std::string account_ids(const Tokenizer& tokenizer, EncodedDocument& document) {
  const std::span<const int32_t> ids = document.ids;
  document.target_bytes = sum_target_bytes(tokenizer.byte_table(), ids);
  std::string decoded = tokenizer.decode(ids.subspan(ids.front() == kBosId ? 1 : 0));
  document.has_byte_mismatch = document.target_bytes != static_cast<int64_t>(decoded.size());
  return decoded;
}

void encode_document(const Tokenizer& tokenizer, int64_t val_every, EncodedDocument& document) {
  document.ids = tokenizer.encode_document(document.text);
  document.is_normalised = account_ids(tokenizer, document).size() != document.text.size();
  document.is_val = is_val_text(document.text, val_every);
}

}  // namespace

void account_document(const Tokenizer& tokenizer, EncodedDocument& document) {
  document.text = account_ids(tokenizer, document);
}

void add_document(const EncodedDocument& document, SplitSummary& summary) {
  ++summary.documents;
  summary.text_bytes += static_cast<int64_t>(document.text.size());
  summary.target_bytes += document.target_bytes;
  summary.tokens += static_cast<int64_t>(document.ids.size());
  summary.normalised_documents += document.is_normalised ? 1 : 0;
  summary.byte_mismatch_documents += document.has_byte_mismatch ? 1 : 0;
}

void encode_documents(DocumentReader& reader, const Tokenizer& tokenizer, int64_t val_every,
                      const std::function<void(const EncodedDocument&)>& visit,
                      const CorpusProgress& progress) {
  int64_t documents = 0, text_bytes = 0;
  for (;;) {
    std::vector<EncodedDocument> batch = read_batch(reader);
    if (batch.empty()) return;
    parallel_chunks(static_cast<int64_t>(batch.size()), [&](int64_t i) {
      encode_document(tokenizer, val_every, batch[static_cast<size_t>(i)]);
    });
    for (const EncodedDocument& document : batch) {
      visit(document);
      ++documents;
      text_bytes += static_cast<int64_t>(document.text.size());
    }
    if (progress) progress(documents, text_bytes);
  }
}

}  // namespace pg
