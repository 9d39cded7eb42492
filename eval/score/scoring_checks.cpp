#include "eval/score/scoring_checks.h"

#include <fmt/format.h>

#include "src/base/check.h"
#include "src/base/error.h"

namespace pg {

void check_byte_table(const ByteTable& bytes, int64_t vocab_size) {
  const auto entries = static_cast<int64_t>(bytes.bytes.size());
  if (entries != vocab_size) {
    throw Error(fmt::format(
        "tokenizer does not fit the model: {} pieces against vocab_size {}; use the tokenizer that "
        "the model was trained with",
        entries, vocab_size));
  }
  PG_CHECK(bytes.leading_space.size() == bytes.bytes.size() &&
               bytes.boundary.size() == bytes.bytes.size(),
           "the columns of a byte table differ in length");
}

void check_tokenizer(const UnpackedModel& model, const Tokenizer& tokenizer) {
  if (model.tokenizer_sha256() == tokenizer.sha256()) return;
  throw Error(fmt::format(
      "tokenizer is not the one of the artifact: sha256 \"{}\" given, \"{}\" in the artifact; pass "
      "the model file that the artifact was trained with",
      hex(tokenizer.sha256()), hex(model.tokenizer_sha256())));
}

// <train_gpt>
void check_case_ops(const EvalConfig& config, const Tokenizer& tokenizer) {
  if (config.case_ops == tokenizer.has_case_ops()) return;
  throw Error(config.case_ops
                  ? "eval.case_ops is true, but the tokenizer has no case operators: U+E001 to "
                    "U+E004 are no pieces of their own; set eval.case_ops = false, or give a "
                    "tokenizer that \"train_gpt tokenizer train --case-ops\" made"
                  : "the tokenizer has case operators, but eval.case_ops is false; set "
                    "eval.case_ops = true");
}
// </train_gpt>

}  // namespace pg
