#include "src/data/corpus/piece_bytes.h"

#include <charconv>

namespace pg {

std::string list_piece_bytes(const Piece& piece) {
  if (piece.kind == PieceKind::kOther) return {};
  if (piece.kind == PieceKind::kByte) {
    unsigned value = 0;
    const size_t begin = piece.text.find("0x") + 2;  // "<0x0A>"
    std::from_chars(piece.text.data() + begin, piece.text.data() + piece.text.size(), value, 16);
    return std::string(1, static_cast<char>(value));
  }
  std::string bytes;
  for (std::string_view left = piece.text; !left.empty();) {
    const bool is_space = left.starts_with(kSpacePiece);
    bytes.push_back(is_space ? ' ' : left.front());
    left.remove_prefix(is_space ? kSpacePiece.size() : 1);
  }
  return bytes;
}

}  // namespace pg
