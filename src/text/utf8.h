// UTF-8 by the Unicode standard (table 3-7, the same as RFC 3629): no overlong forms, no surrogates,
// nothing above U+10FFFF.
#pragma once
#include <cstddef>
#include <string_view>

namespace pg {

// Bytes of the sequence at the front of `text`; 0 when there is no well-formed one.
size_t measure_utf8_sequence(std::string_view text);
// Offset of the first byte that is not part of a well-formed sequence, or text.size().
size_t find_invalid_utf8(std::string_view text);
bool is_utf8(std::string_view text);

}  // namespace pg
