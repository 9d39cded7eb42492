// What `encode` and `decode` share.
#pragma once
#include <cstdint>
#include <span>
#include <string>

#include "eval/code/coded_text.h"
#include "harness/record/progress_line.h"
#include "src/data/corpus/text_codec.h"

namespace pg {

// "encode 34%  1,234 of 5,678 tokens".
CodingProgressFn show_coding_progress(ProgressLine& progress, const char* what);

// Documents in turn, each on a line of its own when there are several.
std::string decode_documents(const TextCodec& codec, std::span<const int32_t> tokens);

}  // namespace pg
