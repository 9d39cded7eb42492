// `train_gpt tokenize`: text to token shards.
#include <fmt/format.h>

#include <filesystem>

#include "harness/command/commands.h"
#include "harness/command/corpus_report.h"
#include "harness/command/interrupt.h"
#include "harness/record/folder_lock.h"
#include "src/base/error.h"
#include "src/data/corpus/corpus.h"
#include "src/data/token_file.h"
#include "src/files/write_file.h"
#include "src/text/text_escape.h"

namespace pg {
namespace {

std::vector<Option> list_options(TokenizeOptions& o) {
  return {
      {.name = "input",
       .value = &o.input,
       .help = "text: .txt, .jsonl or a folder of .txt",
       .is_required = true},
      {.name = "--tokenizer",
       .value = &o.tokenizer,
       .help = "SentencePiece .model file",
       .is_required = true},
      {.name = "--out",
       .value = &o.output_folder,
       .help = "folder for the shards",
       .is_required = true},
      {.name = "--name",
       .value = &o.name,
       .help = "shards are <name>_<split>_000000.bin",
       .shows_default = true},
      {.name = "--val-every",
       .value = &o.val_every,
       .help = "about one document in N goes to val; 0: all to --split",
       .shows_default = true},
      {.name = "--split",
       .value = &o.split,
       .help = "split that takes all documents with --val-every 0; default train"},
      {.name = "--shard-tokens",
       .value = &o.shard_tokens,
       .help = "tokens of a shard at most; at least 512, with which its header is half of it",
       .shows_default = true},
      {.name = "--case-ops",
       .value = &o.has_case_ops,
       .help = "put the text through the lossless case transform, for a tokenizer with its "
               "operators; adds byte side files"},
      {.name = "--force",
       .value = &o.force,
       .help = "replace shards of another text; write shards whose bytes are not exact"},
  };
}

// A shard's header of 1,024 bytes takes as much as 512 tokens.
constexpr int64_t kFewestShardTokens = kShardHeaderBytes / 2;

int tokenize_text(const TokenizeOptions& words, Clock&) {
  if (words.shard_tokens < kFewestShardTokens) {
    throw Error(fmt::format(
        "shards too small: --shard-tokens \"{}\"; give {} or more, below which a shard's header "
        "takes more bytes than its tokens",
        words.shard_tokens, kFewestShardTokens));
  }
  ProgressLine progress = ProgressLine::for_stream(stderr);
  const auto lock = lock_folder(words.output_folder, escape_terminal(words.output_folder.string()));
  remove_stray_files(words.output_folder);
  TokenizeOptions options = words;
  watch_interrupts();
  announce_interrupt("nothing is written, earlier shards stay");
  options.progress = show_corpus_progress(progress);
  options.end_if_asked = [] {
    if (!is_interrupt_requested()) return;
    throw Interrupted("interrupted: no shards were written, earlier ones are as they were");
  };
  const TokenizeSummary summary = tokenize_corpus(options);
  progress.finish();
  for (const SplitSummary& split : summary.splits) print_split(split);
  for (const std::string& line : summary.left_out)
    progress.warn("left out: " + escape_terminal(line));
  for (const SplitSummary& split : summary.splits) warn_of_mismatch(split, progress);
  for (const auto& shard : summary.shards) fmt::print("{}\n", escape_terminal(shard.string()));
  return 0;
}

}  // namespace

Command make_tokenize_command() {
  return make_command<TokenizeOptions>("tokenize", "text to token shards", list_options,
                                       tokenize_text);
}

}  // namespace pg
