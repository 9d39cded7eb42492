// SentencePiece models: training with the challenge's options, encoding documents, and the bytes
// each id stands for.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/hash.h"

namespace pg {

inline constexpr int32_t kBosId = 1;

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

  int64_t token_bytes(int32_t previous, int32_t token) const {
    const auto p = static_cast<size_t>(previous), t = static_cast<size_t>(token);
    int64_t count = bytes[t];
    if (leading_space[t] != 0 && boundary[p] == 0) ++count;
    if (!trailing_space.empty() && trailing_space[p] != 0 && boundary[t] == 0) ++count;
    return count;
  }
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
  // BOS, then the document's ids; no EOS. A long text is encoded in parts that make no difference;
  // throws Error when a stretch of some MiB has no place where it can be cut.
  std::vector<int32_t> encode_document(std::string_view text) const;
  std::vector<int32_t> encode(std::string_view text) const;
  std::string decode(std::span<const int32_t> ids) const;

 private:
  std::vector<int32_t> encode_whole(std::string_view text) const;
  std::string decode_whole(std::span<const int32_t> ids) const;
  size_t find_cut(std::string_view text, size_t from) const;
  bool is_unchanged_around(std::string_view text, size_t at) const;
  struct Impl;  // keeps SentencePiece's header out of this one
  std::unique_ptr<Impl> impl_;
  ByteTable table_;
  Sha256 sha256_ = {};
};

// Trains a BPE model with the challenge's options: character coverage 0.999, byte fallback, split
// digits, nmt_nfkc, no dummy prefix, soft vocabulary limit; ids 0 pad, 1 bos, 2 eos, 3 unk. Writes
// model_file whole or not at all; the same corpus gives the same bytes. `corpus` is what
// DocumentReader reads; of a big one every k-th document is used. Gives what a reader should know:
// files left out, fewer pieces than asked for.
std::vector<std::string> train_tokenizer(const std::filesystem::path& corpus, int64_t vocab_size,
                                         const std::filesystem::path& model_file);

}  // namespace pg
