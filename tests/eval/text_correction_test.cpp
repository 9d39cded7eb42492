// A text comes back exactly from what a tokenizer gives back and its correction; damage is an error.
#include "eval/code/encode/text_correction.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "src/base/error.h"
#include "src/base/rng.h"

namespace pg {
namespace {

// Lines of words; `back` has spaces for the line breaks, as nmt_nfkc leaves them.
std::string make_book(int lines) {
  const CounterRng rng(5, kStreamTest);
  std::string text;
  uint64_t n = 0;
  for (int line = 0; line < lines; ++line) {
    for (int word = 0; word < 11; ++word) {
      for (uint64_t letters = 2 + rng.below(n++, 6); letters > 0; --letters) {
        text += static_cast<char>('a' + rng.below(n++, 26));
      }
      text += word < 10 ? ' ' : '\n';
    }
  }
  return text;
}

std::string flatten(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  text.pop_back();
  return text;
}

void expect_back(const std::string& text, const std::string& back) {
  const Bytes correction = make_correction(text, back);
  const Result<std::string> got = apply_correction(correction, back);
  ASSERT_TRUE(got.ok()) << got.error();
  EXPECT_EQ(got.value(), text);
}

TEST(TextCorrection, GivesLineBreaksBackForAFewBytesALine) {
  const std::string text = make_book(2000), back = flatten(text);
  expect_back(text, back);
  const Bytes correction = make_correction(text, back);
  EXPECT_EQ(correction, make_correction(text, back));
  EXPECT_LT(correction.size(), 2000u * 8);  // the text has 110,000 bytes
}

TEST(TextCorrection, GivesAnythingBack) {
  expect_back("", "");
  expect_back("", "left over");
  expect_back("nothing of this came back", "");
  expect_back(std::string("\0\xff\r\n \xef\xac\x81", 8), "fi");
  expect_back(make_book(3), make_book(40));
}

// A prefix beyond the default window of 8 MiB: the far end of the text must still be found.
TEST(TextCorrection, ReachesOverAWholeLongText) {
  const std::string text = make_book(160000), back = flatten(text);
  ASSERT_GT(text.size(), 8u << 20);
  const Bytes correction = make_correction(text, back);
  EXPECT_LT(correction.size(), text.size() / 8);
  EXPECT_EQ(apply_correction(correction, back).value(), text);
}

TEST(TextCorrection, DamageIsAnErrorText) {
  const std::string text = make_book(8), back = flatten(text);
  const Bytes correction = make_correction(text, back);
  for (size_t i = 0; i < correction.size(); ++i) {
    Bytes damaged = correction;
    damaged[i] ^= 0x41;
    const Result<std::string> got = apply_correction(damaged, back);
    EXPECT_TRUE(!got.ok() || got.value() == text) << "byte " << i;  // the frame has spare bits
    EXPECT_FALSE(apply_correction(std::span(correction).first(i), back).ok()) << i << " bytes";
  }
  EXPECT_FALSE(apply_correction(correction, make_book(9)).ok());
}

// Neither a stranger's promise of memory nor a text that would need one is believed.
TEST(TextCorrection, BoundsTheTextByWhatDescribesIt) {
  const std::string spaces(64 << 20, ' ');
  EXPECT_THROW(make_correction(spaces, ""), Error);
  Bytes promise = make_correction("short", "");
  promise[4] = 1;  // 2^32 bytes
  EXPECT_FALSE(apply_correction(promise, "").ok());
}

}  // namespace
}  // namespace pg
