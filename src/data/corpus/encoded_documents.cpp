// Batches of documents: read serially, parsed and encoded in parallel, visited serially. A batch is
// bounded by text, not by documents, so that both short and long ones keep all threads busy in
// little memory. What is serial is 1 % of the time: lines, and the copy of the ids.
#include "src/data/corpus/encoded_documents.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/base/hash.h"
#include "src/base/threads.h"

namespace pg {
namespace {

// A document on its way; the error of one that cannot be parsed waits until those before it have
// been visited.
struct BatchItem {
  RawDocument raw;
  EncodedDocument encoded;
  std::exception_ptr error;
  bool is_blank = false;
};

std::vector<BatchItem> read_batch(DocumentReader& reader, int64_t batch_bytes) {
  std::vector<BatchItem> batch;
  for (int64_t left = batch_bytes * thread_count(); left > 0;
       left -= static_cast<int64_t>(batch.back().raw.text.size())) {
    BatchItem item;
    if (!reader.read(item.raw)) break;
    batch.push_back(std::move(item));
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
  for (size_t i = 1; i < ids.size(); ++i) bytes += table.token_bytes(ids, i);
  return bytes;
}

std::string decode_ids(const TextCodec& codec, std::span<const int32_t> ids) {
  return codec.decode(ids.subspan(ids.front() == kBosId ? 1 : 0));
}

int64_t count_unknown(const TextCodec& codec, std::span<const int32_t> ids) {
  return std::count(ids.begin(), ids.end(), codec.tokenizer().unknown_id());
}

// The byte table is checked by the text itself. Only where the two differ is the text decoded, a
// third of the time otherwise, to tell a text that normalisation changed from a wrong table.
void encode_document(const TextCodec& codec, int64_t val_every, EncodedDocument& document) {
  document.ids = codec.encode_document(document.text);
  document.target_bytes = sum_target_bytes(codec.tokenizer().byte_table(), document.ids);
  document.unknown_tokens = count_unknown(codec, document.ids);
  if (document.unknown_tokens > 0 ||
      document.target_bytes != static_cast<int64_t>(document.text.size())) {
    document.decoded_bytes = static_cast<int64_t>(decode_ids(codec, document.ids).size());
    document.is_normalised = document.decoded_bytes != static_cast<int64_t>(document.text.size());
    document.has_byte_mismatch =
        document.unknown_tokens > 0 || document.target_bytes != document.decoded_bytes;
  }
  document.is_val = is_val_text(document.text, val_every);
}

void encode_item(const DocumentReader& reader, const TextCodec& codec, int64_t val_every,
                 BatchItem& item) {
  try {
    item.encoded.text = reader.parse(std::move(item.raw));
    item.is_blank = is_blank(item.encoded.text);
    if (item.is_blank) return;
    try {
      encode_document(codec, val_every, item.encoded);
    } catch (const Error& error) {  // the tokenizer does not know where its text is from
      throw Error(reader.describe_place(item.raw) + ": " + error.what());
    }
  } catch (...) {
    item.error = std::current_exception();
  }
}

}  // namespace

void account_document(const TextCodec& codec, EncodedDocument& document) {
  document.text = decode_ids(codec, document.ids);
  document.target_bytes = sum_target_bytes(codec.tokenizer().byte_table(), document.ids);
  document.decoded_bytes = static_cast<int64_t>(document.text.size());
  document.unknown_tokens = count_unknown(codec, document.ids);
  document.has_byte_mismatch =
      document.unknown_tokens > 0 || document.target_bytes != document.decoded_bytes;
}

void add_document(const EncodedDocument& document, SplitSummary& summary) {
  ++summary.documents;
  summary.text_bytes += static_cast<int64_t>(document.text.size());
  summary.target_bytes += document.target_bytes;
  summary.tokens += static_cast<int64_t>(document.ids.size());
  summary.normalised_documents += document.is_normalised ? 1 : 0;
  summary.byte_mismatch_documents += document.has_byte_mismatch ? 1 : 0;
}

LeftOut encode_documents(DocumentReader& reader, const TextCodec& codec, int64_t val_every,
                         const DocumentVisitor& visit, const CorpusProgressFn& progress,
                         int64_t batch_bytes) {
  LeftOut empty = {.kind = "empty documents", .first = {}};
  CorpusProgress done;
  for (;;) {
    std::vector<BatchItem> batch = read_batch(reader, batch_bytes);
    if (batch.empty()) break;
    parallel_chunks(static_cast<int64_t>(batch.size()), [&](int64_t i) {
      encode_item(reader, codec, val_every, batch[static_cast<size_t>(i)]);
    });
    for (const BatchItem& item : batch) {
      if (item.error) std::rethrow_exception(item.error);
      const std::string place = reader.describe_place(item.raw);
      if (item.is_blank) {
        if (empty.count++ == 0) empty.first = place;
        continue;
      }
      visit(item.encoded, place);
      ++done.documents;
      done.text_bytes += static_cast<int64_t>(item.encoded.text.size());
    }
    // An input that grows meanwhile is read on.
    done.share = static_cast<double>(std::min(reader.read_bytes(), reader.input_bytes())) /
                 static_cast<double>(std::max<int64_t>(1, reader.input_bytes()));
    if (progress) progress(done);
  }
  if (done.documents == 0) reader.fail_without_text();
  return empty;
}

}  // namespace pg
