// SentencePiece behind our own types: encoding, decoding and the bytes of each id. Training is in
// tokenizer_training.cpp.
#include "src/data/tokenizer.h"

#include <fmt/format.h>
#include <sentencepiece_processor.h>

#include <algorithm>
#include <optional>

#include "src/base/bytes.h"
#include "src/base/check.h"
#include "src/base/error.h"
#include "src/data/cut_places.h"
#include "src/data/file_kind.h"

namespace pg {
namespace {

namespace sp = sentencepiece;

constexpr std::string_view kSpacePiece = "\u2581";
constexpr int64_t kMaxVocab = 65'536;  // shards hold 16-bit ids
// Of a vocabulary of that size with pieces of a thousand bytes.
constexpr uint64_t kMaxModelBytes = uint64_t{1} << 26;

// Longer texts than most documents are; SentencePiece takes some MB for one.
constexpr size_t kPartBytes = size_t{1} << 16;
// Text without a place to cut that is encoded whole: half a GB while it lasts.
constexpr size_t kMaxPartBytes = size_t{4} << 20;
// Around a cut, normalisation must leave so much text as it is. Its rules read a few characters.
constexpr size_t kWindowBytes = 16;
constexpr size_t kQuotedBytes = 64;  // of a text in a message
// Tokens decoded at once; SentencePiece takes a hundred bytes for each.
constexpr size_t kPartTokens = size_t{1} << 16;

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
  return table;
}

bool has_space_piece(std::span<const Piece> pieces) {
  return std::any_of(pieces.begin(), pieces.end(), [](const Piece& piece) {
    return piece.kind == PieceKind::kText && piece.text == kSpacePiece;
  });
}

struct Tokenizer::Impl {
  sp::SentencePieceProcessor model;
  OwnSpace own_space = OwnSpace::kBefore;
  std::optional<CutPlaces> cut_places;
};

Tokenizer::Tokenizer(const std::filesystem::path& model_file) : impl_(std::make_unique<Impl>()) {
  const Bytes bytes = read_file(model_file, kMaxModelBytes);
  sha256_ = pg::sha256(bytes);
  const std::string_view foreign = describe_foreign_file(bytes);
  const std::string_view proto(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (bytes.empty() || !foreign.empty() || !impl_->model.LoadFromSerializedProto(proto).ok()) {
    throw Error(fmt::format(
        "no SentencePiece model: \"{}\"{}", model_file.string(),
        foreign.empty() ? std::string("; give a .model file") : fmt::format(" is {}", foreign)));
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
  impl_->own_space = find_own_space(impl_->model);
  impl_->cut_places.emplace(pieces, impl_->own_space);
  table_ = make_byte_table(pieces, impl_->own_space);
}

Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

int64_t Tokenizer::vocab_size() const { return static_cast<int64_t>(table_.bytes.size()); }

int32_t Tokenizer::unknown_id() const { return impl_->model.unk_id(); }

std::vector<int32_t> Tokenizer::encode_whole(std::string_view text) const {
  std::vector<int> ids;
  PG_CHECK(impl_->model.Encode(text, &ids).ok(), "a loaded model encodes any text");
  return ids;
}

// The text must come back as it was, so that the vocabulary's characters are those of the text.
// Line ends and runs of spaces, which may come back as one space, bound what is looked at.
bool Tokenizer::is_unchanged_around(std::string_view text, size_t at) const {
  const auto is_gap = [&](size_t place) {
    const auto byte = static_cast<uint8_t>(text[place]);
    const bool is_before_space =
        place + 1 < text.size() && static_cast<uint8_t>(text[place + 1]) <= ' ';
    return byte < ' ' || (byte == ' ' && is_before_space);
  };
  const auto is_inside = [&](size_t place) {
    return place < text.size() && (static_cast<uint8_t>(text[place]) & 0xc0) == 0x80;
  };
  size_t begin = at, end = at;
  while (begin > 0 && at - begin < kWindowBytes && !is_gap(begin - 1)) --begin;
  while (end < text.size() && end - at < kWindowBytes && !is_gap(end)) ++end;
  while (begin < at && (is_inside(begin) || text[begin] == ' ')) ++begin;
  while (end > at && (is_inside(end) || text[end - 1] == ' ')) --end;
  const std::string_view window = text.substr(begin, end - begin);
  return begin < at && at < end && decode(encode_whole(window)) == window;
}

size_t Tokenizer::find_cut(std::string_view text, size_t from) const {
  for (size_t at = from; at < text.size(); ++at) {
    if (at - from > kMaxPartBytes) {
      throw Error(
          fmt::format("text too long for the tokenizer: {} bytes of \"{}...\" have no place where "
                      "they can be cut; break the text into documents",
                      at - from, text.substr(from, kQuotedBytes)));
    }
    if (!impl_->cut_places->is_safe(text, at)) continue;
    if (is_unchanged_around(text, at)) return at;
    at += kWindowBytes;  // what changes here likely changes there
  }
  return text.size();
}

std::vector<int32_t> Tokenizer::encode(std::string_view text) const {
  if (text.size() <= kPartBytes) return encode_whole(text);
  // A part is encoded with the character beyond the end at which SentencePiece would add its own
  // space or drop one; that character's ids, which are always the same, are then left out.
  const bool is_behind = impl_->own_space == OwnSpace::kBehind;
  std::vector<int32_t> ids;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = find_cut(text, std::min(begin + kPartBytes, text.size()));
    size_t left = begin, right = end;
    if (!is_behind && begin > 0) {
      do --left;
      while (left > 0 && (static_cast<uint8_t>(text[left]) & 0xc0) == 0x80);
    }
    if (is_behind && end < text.size()) {
      do ++right;
      while (right < text.size() && (static_cast<uint8_t>(text[right]) & 0xc0) == 0x80);
    }
    const std::vector<int32_t> part = encode_whole(text.substr(left, right - left));
    const size_t before = left < begin ? encode_whole(text.substr(left, begin - left)).size() : 0;
    const size_t behind = right > end ? encode_whole(text.substr(end, right - end)).size() : 0;
    PG_CHECK(before + behind <= part.size(), "a part holds the ids of its neighbour's character");
    ids.insert(ids.end(), part.begin() + static_cast<std::ptrdiff_t>(before),
               part.end() - static_cast<std::ptrdiff_t>(behind));
    begin = end;
  }
  return ids;
}

std::vector<int32_t> Tokenizer::encode_document(std::string_view text) const {
  std::vector<int32_t> ids = encode(text);
  ids.insert(ids.begin(), kBosId);
  return ids;
}

std::string Tokenizer::decode_whole(std::span<const int32_t> ids) const {
  std::string text;
  PG_CHECK(impl_->model.Decode(std::vector<int>(ids.begin(), ids.end()), &text).ok(),
           "ids to decode lie inside the vocabulary");
  return text;
}

// A part is decoded behind the id before it, whose text is then left out: a text's first space is
// dropped, a part's is not. Both ids at a cut are pieces of text, so that no character is cut.
std::string Tokenizer::decode(std::span<const int32_t> ids) const {
  const auto is_text = [&](size_t at) {
    const auto id = static_cast<size_t>(ids[at]);
    return table_.boundary[id] == 0 && table_.bytes[id] > 0 && !impl_->model.IsByte(ids[at]);
  };
  std::string text;
  for (size_t begin = 0; begin < ids.size();) {
    size_t end = std::min(begin + kPartTokens, ids.size());
    while (end < ids.size() && !(is_text(end - 1) && is_text(end))) ++end;
    const size_t left = begin > 0 ? begin - 1 : 0;
    const std::string part = decode_whole(ids.subspan(left, end - left));
    const size_t before = left < begin ? decode_whole(ids.subspan(left, begin - left)).size() : 0;
    text.append(part, before);
    begin = end;
  }
  if (impl_->own_space != OwnSpace::kBehind || ids.empty()) return text;
  // SentencePiece drops a space at the front as if it were its own, and leaves its own at the end.
  if (impl_->model.IdToPiece(ids.front()).starts_with(kSpacePiece)) text.insert(0, 1, ' ');
  const bool has_own = table_.trailing_space[static_cast<size_t>(ids.back())] != 0;
  if (has_own && !text.empty()) text.pop_back();
  return text;
}

}  // namespace pg
