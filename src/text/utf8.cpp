#include "src/text/utf8.h"

#include <cstdint>
#include <cstring>

namespace pg {
namespace {

// Bytes at the front of `text` that are surely ASCII, eight at a time: nearly all of English prose.
size_t count_ascii_octets(std::string_view text) {
  size_t at = 0;
  for (uint64_t octet = 0; at + sizeof octet <= text.size(); at += sizeof octet) {
    std::memcpy(&octet, text.data() + at, sizeof octet);
    if ((octet & 0x8080808080808080u) != 0) break;
  }
  return at;
}

}  // namespace

size_t measure_utf8_sequence(std::string_view text) {
  const auto is_in = [&](size_t i, uint8_t low, uint8_t high) {
    return i < text.size() && static_cast<uint8_t>(text[i]) >= low &&
           static_cast<uint8_t>(text[i]) <= high;
  };
  if (text.empty()) return 0;
  const auto lead = static_cast<uint8_t>(text[0]);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return is_in(1, 0x80, 0xbf) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    const uint8_t low = lead == 0xe0 ? 0xa0 : 0x80, high = lead == 0xed ? 0x9f : 0xbf;
    return is_in(1, low, high) && is_in(2, 0x80, 0xbf) ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    const uint8_t low = lead == 0xf0 ? 0x90 : 0x80, high = lead == 0xf4 ? 0x8f : 0xbf;
    return is_in(1, low, high) && is_in(2, 0x80, 0xbf) && is_in(3, 0x80, 0xbf) ? 4 : 0;
  }
  return 0;
}

size_t find_invalid_utf8(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const std::string_view rest = text.substr(at);
    size_t valid = count_ascii_octets(rest);
    if (valid == 0) valid = measure_utf8_sequence(rest);
    if (valid == 0) return at;
    at += valid;
  }
  return at;
}

bool is_utf8(std::string_view text) { return find_invalid_utf8(text) == text.size(); }

}  // namespace pg
