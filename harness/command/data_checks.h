// The checks of src/data/corpus/shard_checks.h as the commands make them: what is found is refused
// unless data.force, and given back to be said where the result is.
#pragma once
#include "harness/recipe/recipe.h"
#include "src/data/corpus/shard_checks.h"
#include "src/data/token_file.h"
#include "src/data/tokenizer.h"

namespace pg {

// Of training and validation shards, before they are read, which takes longer.
DataFaults check_run_files(const DataConfig& data, const Tokenizer& tokenizer);
// Of the same, read.
struct TokenFaults {
  DataFaults faults;
  bool is_val_in_train = false;  // one of them: the scored text is trained on
};
TokenFaults check_run_tokens(const DataConfig& data, const Tokenizer& tokenizer,
                             const TokenStream& train, const TokenStream& val);

// The validation shards of a command that only scores. Faults that data.force passes over are
// warned of on stderr: a score without a record has no other place for them.
void check_scored_files(const DataConfig& data, const Tokenizer& tokenizer);
void check_scored_tokens(const DataConfig& data, const Tokenizer& tokenizer,
                         const TokenStream& val);

}  // namespace pg
