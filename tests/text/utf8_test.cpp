// The one UTF-8 check: against a decoder written out by code points, and by the published examples.
#include "src/text/utf8.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace pg {
namespace {

// The encoding's definition, the other way round: the bytes of one code point.
std::string encode_utf8(uint32_t code) {
  std::string out;
  const auto put = [&](uint32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | code >> 6), put(0x80 | (code & 63));
  } else if (code < 0x10000) {
    put(0xe0 | code >> 12), put(0x80 | (code >> 6 & 63)), put(0x80 | (code & 63));
  } else {
    put(0xf0 | code >> 18), put(0x80 | (code >> 12 & 63)), put(0x80 | (code >> 6 & 63)),
        put(0x80 | (code & 63));
  }
  return out;
}

TEST(Utf8, EveryCodePointIsOneSequenceAndSurrogatesAreNone) {
  for (uint32_t code = 0; code < 0x110100; ++code) {
    const bool is_scalar = code < 0xd800 || (code >= 0xe000 && code < 0x110000);
    const std::string bytes = encode_utf8(code);
    ASSERT_EQ(measure_utf8_sequence(bytes), is_scalar ? bytes.size() : 0u) << code;
    ASSERT_EQ(measure_utf8_sequence(bytes.substr(0, bytes.size() - 1)), 0u) << code;
  }
}

TEST(Utf8, CheckFollowsTheStandard) {
  EXPECT_EQ(find_invalid_utf8("a\u00e9\u20ac\U0001f600"), 10u);
  EXPECT_TRUE(is_utf8("a\u00e9\u20ac\U0001f600"));
  EXPECT_TRUE(is_utf8(""));
  for (const std::string_view bad :
       {"\x80", "\xc0\xaf", "\xc1\xbf", "\xe0\x80\xaf", "\xe0\x9f\xbf", "\xed\xa0\x80",
        "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82", "\xc3"}) {
    EXPECT_EQ(find_invalid_utf8(bad), 0u);
    EXPECT_FALSE(is_utf8(bad));
  }
}

TEST(Utf8, TheFirstBadByteIsFoundWhereverItStands) {
  for (size_t before = 0; before < 40; ++before) {
    for (size_t after = 0; after < 20; after += 3) {
      const std::string text = std::string(before, 'a') + '\xff' + std::string(after, 'b');
      EXPECT_EQ(find_invalid_utf8(text), before);
    }
    const std::string good = std::string(before, 'a') + "\u20ac" + std::string(40 - before, 'b');
    EXPECT_EQ(find_invalid_utf8(good), good.size());
  }
}

}  // namespace
}  // namespace pg
