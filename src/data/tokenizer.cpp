// SentencePiece behind our own types: encoding, decoding and the bytes of each id. Training is in
// tokenizer_training.cpp.
#include "src/data/tokenizer.h"

#include <fmt/format.h>
#include <sentencepiece_processor.h>

#include <algorithm>

#include "src/base/bytes.h"
#include "src/base/check.h"
#include "src/base/error.h"

namespace pg {
namespace {

namespace sp = sentencepiece;

constexpr std::string_view kSpacePiece = "\u2581";
constexpr int64_t kMaxVocab = 65'536;  // shards hold 16-bit ids

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

}  // namespace pg
