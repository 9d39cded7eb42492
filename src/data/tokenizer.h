// SentencePiece models and the bytes each id stands for. Encoding, decoding and training are in
// corpus/.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

// <parts>
#include "src/base/error.h"
// </parts>
#include "src/base/hash.h"

namespace sentencepiece {  // its header stays out of this one
class SentencePieceProcessor;
}

namespace pg {

inline constexpr int32_t kBosId = 1;
inline constexpr std::string_view kSpacePiece = "\u2581";
// <parts>
// The case transform's operators (formulas.md 1.3): TITLE, ALLCAPS, CAPNEXT and ESC.
inline constexpr std::array<std::string_view, 4> kCaseOperators = {"\ue001", "\ue002", "\ue003",
                                                                   "\ue004"};
// </parts>

// Bytes that a scored token stands for: control, unknown and unused ids 0; byte pieces 1; others
// the length of their UTF-8 with each U+2581 as the one space that it stands for. SentencePiece puts
// a space of its own before a document's first word, or by an option behind its last: that one is no
// byte of the text. So a space at that end of a piece counts only next to other text. For tokenizers
// such as the challenge's this is the challenge's table (formulas.md 1.2).
struct ByteTable {
  std::vector<uint16_t> bytes;         // [vocab]
  std::vector<uint8_t> leading_space;  // [vocab] 0 or 1: one byte more behind an id that is text
  std::vector<uint8_t> boundary;       // [vocab] 0 or 1: no text
  // [vocab] 0 or 1: one byte more for the id behind this one, if that is text; empty: nowhere
  std::vector<uint8_t> trailing_space = {};
  // <parts>
  // Ids of kCaseOperators, which stand for no bytes; empty where the vocabulary lacks one.
  std::vector<int32_t> operators = {};
  // </parts>

  // Of ids[at]; at > 0.
  int64_t token_bytes(std::span<const int32_t> ids, size_t at) const {
    const auto p = static_cast<size_t>(ids[at - 1]), t = static_cast<size_t>(ids[at]);
    int64_t count = bytes[t];
    if (leading_space[t] != 0 && boundary[p] == 0) ++count;
    if (!trailing_space.empty() && trailing_space[p] != 0 && boundary[t] == 0) ++count;
    // <parts>
    if (is_literal_operator(ids, at)) count += std::ssize(kCaseOperators[0]);
    // </parts>
    return count;
  }
  // <parts>
  // An operator that an escape makes text. Of escapes in a row each second one is such a text. Throws
  // Error on more of them in a row than text has, which would take the square of their number.
  bool is_literal_operator(std::span<const int32_t> ids, size_t at) const {
    if (std::ranges::find(operators, ids[at]) == operators.end()) return false;
    size_t first = at;
    while (first > 0 && ids[first - 1] == operators.back()) --first;
    constexpr size_t kMostEscapes = 4096;
    if (at - first > kMostEscapes) {
      throw Error("more than 4096 escapes of the case transform in a row are no text");
    }
    return (at - first) % 2 != 0;
  }
  // </parts>
};

// Where SentencePiece adds its own space to a text.
enum class OwnSpace : uint8_t { kBefore, kBehind, kNowhere };

// A piece as the table rule sees it.
enum class PieceKind : uint8_t { kText, kByte, kOther };  // kOther: control, unknown or unused
struct Piece {
  std::string_view text;
  PieceKind kind = PieceKind::kText;
};
ByteTable make_byte_table(std::span<const Piece> pieces, OwnSpace own_space = OwnSpace::kBefore);
// <parts>
// Ids of kCaseOperators, in their order; none where one is no piece, or is a part of another.
std::vector<int32_t> find_case_operators(std::span<const Piece> pieces);
// </parts>
// Whether U+2581 alone is a piece. Without it a space that no longer piece covers would be encoded
// as its three bytes.
bool has_space_piece(std::span<const Piece> pieces);

class Tokenizer {
 public:
  // Throws Error when the file is missing, is no SentencePiece model, or lacks U+2581 as a piece
  // (then spaces would be charged wrongly).
  explicit Tokenizer(const std::filesystem::path& model_file);
  Tokenizer(Tokenizer&&) noexcept;
  ~Tokenizer();

  int64_t vocab_size() const;
  // Of text that the vocabulary does not cover: no table knows its bytes.
  int32_t unknown_id() const;
  const ByteTable& byte_table() const { return table_; }
  const Sha256& sha256() const { return sha256_; }  // of the model file
  const sentencepiece::SentencePieceProcessor& model() const { return *model_; }
  // Their text lives as long as the tokenizer.
  std::vector<Piece> list_pieces() const;
  OwnSpace own_space() const { return own_space_; }
  // <train_gpt>
  // Whether its texts go through the case transform, which its operators are for.
  bool has_case_ops() const { return !table_.operators.empty(); }
  // </train_gpt>

 private:
  std::unique_ptr<sentencepiece::SentencePieceProcessor> model_;
  OwnSpace own_space_ = OwnSpace::kBefore;
  ByteTable table_;
  Sha256 sha256_ = {};
};

}  // namespace pg
