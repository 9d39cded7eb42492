// `train_gpt tokenizer train`: a SentencePiece model of one's own.
#include <fmt/format.h>

#include "harness/command/commands.h"
#include "harness/record/progress_line.h"
#include "src/data/tokenizer.h"
#include "src/text/text_escape.h"

namespace pg {
namespace {

struct TokenizerTrainWords {
  std::filesystem::path input, out;
  int64_t vocab_size = 1024;
};

std::vector<Option> list_options(TokenizerTrainWords& w) {
  return {
      {.name = "input",
       .value = &w.input,
       .help = "text: .txt, .jsonl or a folder of .txt",
       .is_required = true},
      {.name = "--vocab-size",
       .value = &w.vocab_size,
       .help = "tokens",
       .shows_default = true,
       .range = OptionRange{260, 65536}},
      {.name = "--out", .value = &w.out, .help = ".model file to write", .is_required = true},
  };
}

int train_tokenizer_model(const TokenizerTrainWords& words, Clock&) {
  ProgressLine progress = ProgressLine::for_stream(stderr);
  // SentencePiece's merges follow one from another: one core, and nothing to show on the way.
  progress.show(
      fmt::format("choosing {} pieces from at most 16 MB of text, some seconds", words.vocab_size),
      false);
  train_tokenizer(words.input, words.vocab_size, words.out);
  progress.finish();
  const Tokenizer tokenizer(words.out);
  fmt::print("{}: {} tokens, sha256 {}\n", escape_terminal(words.out.string()),
             tokenizer.vocab_size(), hex(tokenizer.sha256()));
  return 0;
}

}  // namespace

Command make_tokenizer_train_command() {
  return make_command<TokenizerTrainWords>("tokenizer train",
                                           "train a BPE model with the challenge's options",
                                           list_options, train_tokenizer_model);
}

}  // namespace pg
