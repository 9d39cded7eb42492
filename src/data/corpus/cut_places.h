// Where a text may be cut without changing its encoding: SentencePiece needs a hundred times a
// text's size while it encodes it, so long ones are encoded in parts.
//
// Both BPE and unigram models build a text from pieces of their vocabulary alone. If no piece holds
// characters a and b side by side, then no piece ever spans a place between an a and a b, and what
// stands left of it has no influence on what stands right of it. (Unigram models choose by sums
// over the text in float, whose rounding grows with the length of the text: there the parts are the
// more exact ones.)
#pragma once
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "src/data/tokenizer.h"

namespace pg {

class CutPlaces {
 public:
  CutPlaces(std::span<const Piece> pieces, OwnSpace own_space);

  // Whether the characters on both sides of text[at] may be parted, in a text that normalisation
  // does not change. 0 < at < text.size().
  bool is_safe(std::string_view text, size_t at) const;

 private:
  // By the last byte of the left character and the first byte of the right one: more pairs than
  // there are, which only leaves fewer places.
  std::bitset<256 * 256> joined_;
  OwnSpace own_space_;
};

}  // namespace pg
