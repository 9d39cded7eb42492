// Whether tokenizer and model belong together.
#pragma once
#include <cstdint>

#include "eval/score/eval_config.h"
#include "quant/format/unpack.h"
#include "src/data/tokenizer.h"

namespace pg {

// Throws Error when the table is not of the model's vocabulary.
void check_byte_table(const ByteTable& bytes, int64_t vocab_size);
// Throws Error naming both hashes when the artifact was trained with another tokenizer.
void check_tokenizer(const UnpackedModel& model, const Tokenizer& tokenizer);
// <train_gpt>
// Throws Error when eval.case_ops is not what the tokenizer has: a counted program without that key
// would charge operators with bytes.
void check_case_ops(const EvalConfig& config, const Tokenizer& tokenizer);
// </train_gpt>

}  // namespace pg
