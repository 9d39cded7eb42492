// SentencePiece behind our own types: the model and the bytes of each id.
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

constexpr int64_t kMaxVocab = 65'536;  // shards hold 16-bit ids
// Of a vocabulary of that size with pieces of a thousand bytes.
constexpr uint64_t kMaxModelBytes = uint64_t{1} << 26;

PieceKind classify_piece(const sp::SentencePieceProcessor& model, int id) {
  if (model.IsControl(id) || model.IsUnknown(id) || model.IsUnused(id)) return PieceKind::kOther;
  return model.IsByte(id) ? PieceKind::kByte : PieceKind::kText;
}

size_t count_text_bytes(std::string_view piece) {
  size_t spaces = 0;
  for (size_t at = piece.find(kSpacePiece); at != std::string_view::npos;
       at = piece.find(kSpacePiece, at + kSpacePiece.size())) {
    ++spaces;
  }
  return piece.size() - spaces * (kSpacePiece.size() - 1);
}

// Asked of the model itself, by what it makes of a letter.
OwnSpace find_own_space(const sp::SentencePieceProcessor& model) {
  const auto join_pieces = [&](std::string_view text) {
    std::string joined;
    for (const std::string& piece : model.EncodeAsPieces(text)) joined += piece;
    return joined;
  };
  const std::string letter = join_pieces("x");
  if (letter.ends_with(kSpacePiece)) return OwnSpace::kBehind;
  if (letter.starts_with(kSpacePiece)) return OwnSpace::kBefore;
  // Where outer spaces are dropped, none ever follows a boundary; the table is the challenge's.
  return join_pieces(" x").starts_with(kSpacePiece) ? OwnSpace::kNowhere : OwnSpace::kBefore;
}

}  // namespace

ByteTable make_byte_table(std::span<const Piece> pieces, OwnSpace own_space) {
  ByteTable table;
  for (const Piece& piece : pieces) {
    const bool is_text = piece.kind == PieceKind::kText;
    const bool leads =
        is_text && own_space == OwnSpace::kBefore && piece.text.starts_with(kSpacePiece);
    const bool trails =
        is_text && own_space == OwnSpace::kBehind && piece.text.ends_with(kSpacePiece);
    const size_t text_bytes = count_text_bytes(piece.text) - (leads || trails ? 1 : 0);
    PG_CHECK(text_bytes <= UINT16_MAX, "a piece longer than 65535 bytes");
    const size_t bytes = is_text ? text_bytes : (piece.kind == PieceKind::kByte ? 1 : 0);
    table.bytes.push_back(static_cast<uint16_t>(bytes));
    table.leading_space.push_back(leads ? 1 : 0);
    table.boundary.push_back(piece.kind == PieceKind::kOther ? 1 : 0);
    if (own_space == OwnSpace::kBehind) table.trailing_space.push_back(trails ? 1 : 0);
  }
  // <parts>
  table.operators = find_case_operators(pieces);
  for (const int32_t id : table.operators) table.bytes[static_cast<size_t>(id)] = 0;
  // </parts>
  return table;
}

// <parts>
std::vector<int32_t> find_case_operators(std::span<const Piece> pieces) {
  std::vector<int32_t> ids;
  for (const std::string_view name : kCaseOperators) {
    for (size_t id = 0; id < pieces.size(); ++id) {
      if (pieces[id].text.find(name) == std::string_view::npos) continue;
      if (pieces[id].text != name || pieces[id].kind != PieceKind::kText) return {};
      ids.push_back(static_cast<int32_t>(id));
    }
  }
  return ids.size() == kCaseOperators.size() ? ids : std::vector<int32_t>();
}
// </parts>

bool has_space_piece(std::span<const Piece> pieces) {
  return std::any_of(pieces.begin(), pieces.end(), [](const Piece& piece) {
    return piece.kind == PieceKind::kText && piece.text == kSpacePiece;
  });
}

Tokenizer::Tokenizer(const std::filesystem::path& model_file)
    : model_(std::make_unique<sp::SentencePieceProcessor>()) {
  const Bytes bytes = read_file(model_file, kMaxModelBytes);
  sha256_ = pg::sha256(bytes);
  const std::string_view proto(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (bytes.empty() || !model_->LoadFromSerializedProto(proto).ok()) {
    throw Error(
        fmt::format("no SentencePiece model: \"{}\"; give a .model file", model_file.string()));
  }
  const std::vector<Piece> pieces = list_pieces();
  if (static_cast<int64_t>(pieces.size()) > kMaxVocab) {
    throw Error(fmt::format(
        "vocabulary too large: \"{}\" has {} ids, shards hold ids below {}; use a smaller "
        "tokenizer",
        model_file.string(), pieces.size(), kMaxVocab));
  }
  if (model_->bos_id() != kBosId) {
    throw Error(fmt::format(
        "begin-of-document id is not {}: \"{}\" has {}; train the tokenizer with bos_id={}", kBosId,
        model_file.string(), model_->bos_id(), kBosId));
  }
  if (!has_space_piece(pieces)) {
    throw Error(fmt::format(
        "U+2581 alone is no piece: \"{}\" would charge spaces wrongly; train the tokenizer "
        "on text with spaces or a larger vocabulary",
        model_file.string()));
  }
  own_space_ = find_own_space(*model_);
  table_ = make_byte_table(pieces, own_space_);
}

Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

int64_t Tokenizer::vocab_size() const { return static_cast<int64_t>(table_.bytes.size()); }

int32_t Tokenizer::unknown_id() const { return model_->unk_id(); }

std::vector<Piece> Tokenizer::list_pieces() const {
  std::vector<Piece> pieces;
  for (int id = 0; id < model_->GetPieceSize(); ++id) {
    pieces.push_back({model_->IdToPiece(id), classify_piece(*model_, id)});
  }
  return pieces;
}

}  // namespace pg
