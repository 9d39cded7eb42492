// Fuzzes the decoder of coded texts with a scorer of a few lines. Each input is tried as a file,
// as tokens that are encoded and must come back, as a text's correction, and as a text that one must
// give back.
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include "eval/code/encode/text_correction.h"
#include "eval/code/encode/text_encoder.h"
#include "eval/code/text_decoder.h"
#include "tests/eval/toy_scorer.h"

namespace {

constexpr int64_t kVocab = 16;
constexpr int64_t kMostTokens = 4096;  // a valid header may name more than is quick

pg::Result<std::vector<int32_t>> decode(std::span<const uint8_t> file) {
  const pg::Result<pg::CodedText> text = pg::parse_coded_text(file);
  if (!text.ok()) return pg::Failure{text.error()};
  if (text.value().tokens > kMostTokens) return pg::Failure{"too long for a fuzzer"};
  pg::ToyScorer scorer(kVocab);
  return pg::decode_text(scorer, text.value(), kVocab);
}

void try_round_trip(std::span<const uint8_t> input) {
  if (input.size() < 2 || input.size() > static_cast<size_t>(kMostTokens)) return;
  std::vector<int32_t> tokens;
  for (const uint8_t byte : input) tokens.push_back(byte % kVocab);
  const std::vector<uint16_t> bytes(kVocab, 1);
  const std::vector<uint8_t> flags(kVocab, 0);
  pg::ToyScorer scorer(kVocab);
  const pg::EncodedText encoded =
      pg::encode_text(scorer, tokens, {bytes, flags, flags}, pg::Sha256{});
  const pg::Result<std::vector<int32_t>> decoded = decode(encoded.file);
  if (!decoded.ok() || decoded.value() != tokens) std::abort();
}

void try_correction(std::span<const uint8_t> input) {
  const std::string_view text(reinterpret_cast<const char*>(input.data()), input.size());
  (void)pg::apply_correction(input, "what a tokenizer gives back");
  const std::string_view back = text.substr(0, text.size() / 2);
  const pg::Result<std::string> got = pg::apply_correction(pg::make_correction(text, back), back);
  if (!got.ok() || got.value() != text) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const uint8_t> input(data, size);
  (void)decode(input);
  try_round_trip(input);
  try_correction(input);
  return 0;
}
