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

// Bytes that a scored token stands for, by the challenge's table (formulas.md 1.2): control,
// unknown and unused ids 0; byte pieces 1; others the UTF-8 length without a leading U+2581, plus 1
// for that space unless the previous id is a boundary.
struct ByteTable {
  std::vector<uint16_t> bytes;         // [vocab]
  std::vector<uint8_t> leading_space;  // [vocab] 0 or 1
  std::vector<uint8_t> boundary;       // [vocab] 0 or 1

  int64_t token_bytes(int32_t previous, int32_t token) const {
    const auto p = static_cast<size_t>(previous), t = static_cast<size_t>(token);
    return bytes[t] + ((leading_space[t] != 0 && boundary[p] == 0) ? 1 : 0);
  }
};

// A piece as the table rule sees it.
enum class PieceKind : uint8_t { kText, kByte, kOther };  // kOther: control, unknown or unused
struct Piece {
  std::string_view text;
  PieceKind kind = PieceKind::kText;
};
ByteTable make_byte_table(std::span<const Piece> pieces);
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
  const ByteTable& byte_table() const { return table_; }
  const Sha256& sha256() const { return sha256_; }  // of the model file
  // BOS, then the document's ids; no EOS.
  std::vector<int32_t> encode_document(std::string_view text) const;
  std::vector<int32_t> encode(std::string_view text) const;
  std::string decode(std::span<const int32_t> ids) const;

 private:
  struct Impl;  // keeps SentencePiece's header out of this one
  std::unique_ptr<Impl> impl_;
  ByteTable table_;
  Sha256 sha256_ = {};
};

// Trains a BPE model with the challenge's options: character coverage 0.999, byte fallback, split
// digits, nmt_nfkc, no dummy prefix, soft vocabulary limit; ids 0 pad, 1 bos, 2 eos, 3 unk. Writes
// model_file whole or not at all; the same corpus gives the same bytes. `corpus` is what
// DocumentReader reads; of a big one every k-th document is used.
void train_tokenizer(const std::filesystem::path& corpus, int64_t vocab_size,
                     const std::filesystem::path& model_file);

}  // namespace pg
