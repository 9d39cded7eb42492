// A coded text to its tokens, by a process that has the file, the artifact and the tokenizer and
// nothing else. That it gives the text back proves that the distributions were ones, and were made
// without the tokens they cost.
#pragma once
#include <cstdint>
#include <vector>

#include "eval/code/coded_text.h"
#include "eval/score/scorer.h"

namespace pg {

// Fails for a payload that does not give the tokens that the header names: damaged, or coded with
// other distributions. Opens each chunk before each target with what is decoded, as
// score_as_decoder does.
Result<std::vector<int32_t>> decode_text(Scorer& scorer, const CodedText& text, int64_t vocab_size,
                                         const CodingProgressFn& progress = {});
// <train_gpt>
// As many of the first tokens as the header has checks for in the first `payload_bytes`: each
// kCheckTokens of them are known to be the encoder's but for one chance in 2^16. None where there are
// fewer; the whole text, by its hash, where it ends before.
Result<std::vector<int32_t>> decode_beginning(Scorer& scorer, const CodedText& text,
                                              int64_t vocab_size, size_t payload_bytes,
                                              const CodingProgressFn& progress = {});
// </train_gpt>

}  // namespace pg
