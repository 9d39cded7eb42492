#include "src/data/corpus/cut_places.h"

#include <string>

namespace pg {
namespace {

bool is_inside_character(char c) { return (static_cast<uint8_t>(c) & 0xc0) == 0x80; }

size_t pair_index(char left, char right) {
  return static_cast<size_t>(static_cast<uint8_t>(left)) * 256 + static_cast<uint8_t>(right);
}

std::string replace_space_pieces(std::string_view piece) {
  std::string text;
  for (size_t at = 0; at < piece.size();) {
    const bool is_space = piece.substr(at).starts_with(kSpacePiece);
    text += is_space ? ' ' : piece[at];
    at += is_space ? kSpacePiece.size() : 1;
  }
  return text;
}

}  // namespace

CutPlaces::CutPlaces(std::span<const Piece> pieces, OwnSpace own_space) : own_space_(own_space) {
  for (const Piece& piece : pieces) {
    if (piece.kind == PieceKind::kByte) continue;  // spelt <0x41>; joined with nothing
    const std::string text = replace_space_pieces(piece.text);
    for (size_t at = 1; at < text.size(); ++at) {
      if (!is_inside_character(text[at])) joined_.set(pair_index(text[at - 1], text[at]));
    }
  }
}

bool CutPlaces::is_safe(std::string_view text, size_t at) const {
  // A part's outer spaces may be dropped at the end that is not encoded with its neighbour
  // (TextCodec::encode).
  const char outer = own_space_ == OwnSpace::kBehind ? text[at] : text[at - 1];
  return outer != ' ' && !is_inside_character(text[at]) &&
         !joined_.test(pair_index(text[at - 1], text[at]));
}

}  // namespace pg
