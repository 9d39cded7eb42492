// The commands beside `run`. Results go to stdout, progress to stderr; each gives the exit code and
// throws Error.
#pragma once
#include <string>

#include "src/base/clock.h"
#include "src/run/cli.h"

namespace pg {

int eval_artifact(const EvalOptions& options, Clock& clock);
int print_size(const SizeOptions& options);
int generate_text(const GenerateCommand& command);
int train_tokenizer_model(const TrainTokenizerOptions& options);
int tokenize_text(const TokenizeCommand& command);
int print_corpus_info(const CorpusInfoCommand& command);
int print_recipe(const RecipeOptions& options);
int print_docs_ops();

// The process's environment variables, for load_recipe.
const char* process_environment(const char* name);

}  // namespace pg
