// The commands beside `run`. Results go to stdout, progress to stderr; each gives the exit code and
// throws Error.
#pragma once
#include <filesystem>

#include "harness/command/cli.h"
#include "quant/format/unpack.h"
#include "src/base/clock.h"

namespace pg {

int eval_artifact(const EvalOptions& options, Clock& clock);
// Exit code 1 when a probe fails.
int audit_artifact(const AuditCommand& command);
int export_weights(const ExportOptions& options);
int pack_weights(const PackOptions& options, Clock& clock);
int generate_text(const GenerateCommand& command);
int train_tokenizer_model(const TrainTokenizerOptions& options);
int tokenize_text(const TokenizeCommand& command);
int print_corpus_info(const CorpusInfoCommand& command);
int print_recipe(const RecipeOptions& options);
int print_docs_ops();

// Throws Error for a file that is no artifact.
UnpackedModel unpack_file(const std::filesystem::path& path);

// The process's environment variables, for load_recipe.
const char* process_environment(const char* name);

}  // namespace pg
