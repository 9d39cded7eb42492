// What it takes to give a text back exactly where a tokenizer's normalisation changes it: line
// breaks, runs of spaces, compatibility characters.
#pragma once
#include <span>
#include <string>
#include <string_view>

#include "src/base/bytes.h"
#include "src/base/result.h"

namespace pg {

// Turns `back`, what the tokenizer gives back, into `text`: its length and SHA-256, then a Zstandard
// frame (RFC 8878) with `back` as the prefix that it may point into. Throws Error for a text beyond
// what apply_correction would believe.
Bytes make_correction(std::string_view text, std::string_view back);

// The bytes are a stranger's. Fails when they do not give the text whose SHA-256 they hold.
Result<std::string> apply_correction(std::span<const uint8_t> correction, std::string_view back);

}  // namespace pg
