// SentencePiece behind our own types. Its training is deterministic only when it gets its sentences
// in a fixed order and draws no sample of its own (its shuffle is seeded by the machine), so
// sampling happens here, by document number.
#include "src/data/tokenizer.h"

#include <fmt/format.h>
#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <algorithm>
#include <unordered_map>

#include "src/base/bytes.h"
#include "src/base/check.h"
#include "src/base/error.h"
#include "src/data/documents.h"

namespace pg {
namespace {

namespace sp = sentencepiece;

constexpr std::string_view kSpacePiece = "\u2581";
constexpr int64_t kMaxVocab = 65'536;       // shards hold 16-bit ids
constexpr int64_t kMinVocab = 4 + 256 + 1;  // special ids, byte pieces, the space
// Text SentencePiece is trained on at most. On 20 MB of prose, training on half of it costs 0.01 %
// more tokens than training on all, in half the time.
constexpr int64_t kTrainingBytes = int64_t{16} << 20;
// SentencePiece leaves out longer sentences without a word (its default max_sentence_length is 4192
// bytes).
constexpr size_t kSentenceBytes = 4000;

PieceKind classify_piece(const sp::SentencePieceProcessor& model, int id) {
  if (model.IsControl(id) || model.IsUnknown(id) || model.IsUnused(id)) return PieceKind::kOther;
  return model.IsByte(id) ? PieceKind::kByte : PieceKind::kText;
}

std::vector<Piece> list_pieces(const sp::SentencePieceProcessor& model) {
  std::vector<Piece> pieces;
  for (int id = 0; id < model.GetPieceSize(); ++id) {
    pieces.push_back({model.IdToPiece(id), classify_piece(model, id)});
  }
  return pieces;
}

// Lines of every k-th document, long ones cut at spaces, as SentencePiece wants to be fed.
// SentencePiece is C++ with status codes, so an exception must not pass through it: the first one
// is kept for the caller.
class LineIterator final : public sp::SentenceIterator {
 public:
  LineIterator(DocumentReader& reader, int64_t document_stride)
      : reader_(reader), document_stride_(document_stride) {
    Next();
  }
  bool done() const override { return done_; }
  const std::string& value() const override { return sentence_; }
  sp::util::Status status() const override { return {}; }
  void Next() override {
    try {
      done_ = !cut_sentence();
    } catch (...) {
      error_ = std::current_exception();
      done_ = true;
    }
  }
  const std::exception_ptr& error() const { return error_; }

 private:
  bool cut_sentence() {
    for (;;) {
      while (at_ < text_.size() && (text_[at_] == '\n' || text_[at_] == ' ')) ++at_;
      if (at_ < text_.size()) break;
      if (!next_document()) return false;
    }
    size_t end = std::min(text_.find('\n', at_), text_.size());
    if (end - at_ > kSentenceBytes) {
      const size_t space = text_.rfind(' ', at_ + kSentenceBytes);
      if (space != std::string::npos && space > at_) end = space;
    }
    sentence_ = text_.substr(at_, end - at_);
    at_ = end;
    return true;
  }
  bool next_document() {
    at_ = 0;
    do {
      if (!reader_.next(text_)) return false;
    } while (documents_++ % document_stride_ != 0);
    // SentencePiece's trainer takes a NUL for the end of the text.
    std::replace(text_.begin(), text_.end(), '\0', ' ');
    return true;
  }

  DocumentReader& reader_;
  int64_t document_stride_;
  int64_t documents_ = 0;
  std::string text_, sentence_;
  size_t at_ = 0;
  bool done_ = false;
  std::exception_ptr error_;
};

// The options of the challenge's own tokenizers (model_training.md 1.2).
std::unordered_map<std::string, std::string> make_training_options(int64_t vocab_size) {
  return {{"model_type", "bpe"},
          {"vocab_size", std::to_string(vocab_size)},
          {"character_coverage", "0.999"},
          {"byte_fallback", "true"},
          {"split_digits", "true"},
          {"normalization_rule_name", "nmt_nfkc"},
          {"add_dummy_prefix", "false"},
          {"hard_vocab_limit", "false"},
          {"pad_id", "0"},
          {"bos_id", "1"},
          {"eos_id", "2"},
          {"unk_id", "3"},
          {"minloglevel", "1"}};  // warnings and worse
}

void check_vocab_size(int64_t vocab_size) {
  if (vocab_size < kMinVocab || vocab_size > kMaxVocab) {
    throw Error(fmt::format("vocabulary size out of range: \"{}\"; give {} to {}", vocab_size,
                            kMinVocab, kMaxVocab));
  }
}

}  // namespace

ByteTable make_byte_table(std::span<const Piece> pieces) {
  ByteTable table;
  for (const Piece& piece : pieces) {
    const bool is_text = piece.kind == PieceKind::kText;
    const bool has_space = is_text && piece.text.starts_with(kSpacePiece);
    const size_t text_bytes = piece.text.size() - (has_space ? kSpacePiece.size() : 0);
    PG_CHECK(text_bytes <= UINT16_MAX, "a piece longer than 65535 bytes");
    const size_t bytes = is_text ? text_bytes : (piece.kind == PieceKind::kByte ? 1 : 0);
    table.bytes.push_back(static_cast<uint16_t>(bytes));
    table.leading_space.push_back(has_space ? 1 : 0);
    table.boundary.push_back(piece.kind == PieceKind::kOther ? 1 : 0);
  }
  return table;
}

bool has_space_piece(std::span<const Piece> pieces) {
  return std::any_of(pieces.begin(), pieces.end(), [](const Piece& piece) {
    return piece.kind == PieceKind::kText && piece.text == kSpacePiece;
  });
}

struct Tokenizer::Impl {
  sp::SentencePieceProcessor model;
};

Tokenizer::Tokenizer(const std::filesystem::path& model_file) : impl_(std::make_unique<Impl>()) {
  const Bytes bytes = read_file(model_file);
  sha256_ = pg::sha256(bytes);
  const std::string_view proto(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (bytes.empty() || !impl_->model.LoadFromSerializedProto(proto).ok()) {
    throw Error(
        fmt::format("no SentencePiece model: \"{}\"; give a .model file", model_file.string()));
  }
  const std::vector<Piece> pieces = list_pieces(impl_->model);
  if (static_cast<int64_t>(pieces.size()) > kMaxVocab) {
    throw Error(fmt::format(
        "vocabulary too large: \"{}\" has {} ids, shards hold ids below {}; use a smaller "
        "tokenizer",
        model_file.string(), pieces.size(), kMaxVocab));
  }
  if (impl_->model.bos_id() != kBosId) {
    throw Error(fmt::format(
        "begin-of-document id is not {}: \"{}\" has {}; train the tokenizer with bos_id={}", kBosId,
        model_file.string(), impl_->model.bos_id(), kBosId));
  }
  if (!has_space_piece(pieces)) {
    throw Error(fmt::format(
        "U+2581 alone is no piece: \"{}\" would charge spaces wrongly; train the tokenizer "
        "on text with spaces or a larger vocabulary",
        model_file.string()));
  }
  table_ = make_byte_table(pieces);
}

Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

int64_t Tokenizer::vocab_size() const { return static_cast<int64_t>(table_.bytes.size()); }

std::vector<int32_t> Tokenizer::encode(std::string_view text) const {
  std::vector<int> ids;
  PG_CHECK(impl_->model.Encode(text, &ids).ok(), "a loaded model encodes any text");
  return ids;
}

std::vector<int32_t> Tokenizer::encode_document(std::string_view text) const {
  std::vector<int32_t> ids = encode(text);
  ids.insert(ids.begin(), kBosId);
  return ids;
}

std::string Tokenizer::decode(std::span<const int32_t> ids) const {
  std::string text;
  PG_CHECK(impl_->model.Decode(std::vector<int>(ids.begin(), ids.end()), &text).ok(),
           "ids to decode lie inside the vocabulary");
  return text;
}

void train_tokenizer(const std::filesystem::path& corpus, int64_t vocab_size,
                     const std::filesystem::path& model_file) {
  check_vocab_size(vocab_size);
  DocumentReader reader(corpus);
  const int64_t document_stride = 1 + (reader.input_bytes() - 1) / kTrainingBytes;
  LineIterator lines(reader, document_stride);
  std::string proto;
  const sp::util::Status trained =
      sp::SentencePieceTrainer::Train(make_training_options(vocab_size), &lines, &proto);
  if (lines.error()) std::rethrow_exception(lines.error());
  if (!trained.ok()) {
    throw Error(fmt::format(
        "cannot train a tokenizer with vocabulary size \"{}\": {}; give more text or another "
        "size",
        vocab_size, trained.message()));
  }
  sp::SentencePieceProcessor model;
  if (!model.LoadFromSerializedProto(proto).ok() || !has_space_piece(list_pieces(model))) {
    throw Error(
        fmt::format("cannot train a tokenizer: \"{}\" has no spaces between words; give prose",
                    corpus.string()));
  }
  write_file_atomic(model_file, proto);
}

}  // namespace pg
