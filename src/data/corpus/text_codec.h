// Text to a tokenizer's ids and back, through the case transform where the tokenizer has its
// operators.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/data/corpus/cut_places.h"
#include "src/data/tokenizer.h"

namespace pg {

class TextCodec {
 public:
  // The tokenizer must outlive it.
  explicit TextCodec(const Tokenizer& tokenizer);
  explicit TextCodec(Tokenizer&&) = delete;

  const Tokenizer& tokenizer() const { return tokenizer_; }
  // BOS, then the document's ids; no EOS. A long text is encoded in parts that make no difference;
  // throws Error when a stretch of some MiB has no place where it can be cut.
  std::vector<int32_t> encode_document(std::string_view text) const;
  std::vector<int32_t> encode(std::string_view text) const;
  // Of any ids: case operators out of place are dropped (restore_case).
  std::string decode(std::span<const int32_t> ids) const;

 private:
  // Of text that SentencePiece sees and gives back: transformed where there are operators.
  std::vector<int32_t> encode_pieces(std::string_view text) const;
  std::string decode_pieces(std::span<const int32_t> ids) const;
  std::vector<int32_t> encode_whole(std::string_view text) const;
  std::string decode_whole(std::span<const int32_t> ids) const;
  size_t find_cut(std::string_view text, size_t from) const;
  bool is_unchanged_around(std::string_view text, size_t at) const;

  const Tokenizer& tokenizer_;
  const sentencepiece::SentencePieceProcessor& model_;
  CutPlaces cut_places_;
};

}  // namespace pg
