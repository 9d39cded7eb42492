// Whether tokenizer and model belong together.
#pragma once
#include <cstdint>

#include "quant/format/unpack.h"
#include "src/data/tokenizer.h"

namespace pg {

// Throws Error when the table is not of the model's vocabulary.
void check_byte_table(const ByteTable& bytes, int64_t vocab_size);
// Throws Error naming both hashes when the artifact was trained with another tokenizer.
void check_tokenizer(const UnpackedModel& model, const Tokenizer& tokenizer);

}  // namespace pg
