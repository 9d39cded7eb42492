// The bytes that a piece of a tokenizer stands for within a text.
#pragma once
#include <string>

#include "src/data/tokenizer.h"

namespace pg {

// UTF-8 with each U+2581 as a space; of a byte piece such as "<0x0A>" that byte; of others none.
std::string list_piece_bytes(const Piece& piece);

}  // namespace pg
