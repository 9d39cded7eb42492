// `train_gpt generate`: text from an artifact's model, as it comes.
#include <cstdio>

#include "eval/diagnosis/generate.h"
#include "eval/scoring_keys.h"
#include "harness/command/commands.h"
#include "harness/command/scoring_session.h"
#include "src/data/corpus/text_codec.h"
#include "src/text/text_escape.h"
#include "src/text/utf8.h"

namespace pg {
namespace {

struct GenerateWords {
  std::filesystem::path artifact, tokenizer;
  std::string prompt;
  std::string device = "cpu";
  GenerateOptions options = {.context = 0};
};

std::vector<Option> list_options(GenerateWords& w) {
  return {
      {.name = "artifact",
       .value = &w.artifact,
       .help = "final_model.int6.bin",
       .is_required = true},
      {.name = "--tokenizer",
       .value = &w.tokenizer,
       .help = "SentencePiece .model file",
       .is_required = true},
      {.name = "--prompt", .value = &w.prompt, .help = "text to continue", .may_be_empty = true},
      {.name = "--tokens",
       .value = &w.options.tokens,
       .help = "tokens to generate",
       .shows_default = true},
      {.name = "--context",
       .value = &w.options.context,
       .help = "newest tokens that the model sees; 0: as many as the artifact is scored with",
       .shows_default = true},
      {.name = "--temperature",
       .value = &w.options.temperature,
       .help = "0: always the likeliest token",
       .shows_default = true},
      {.name = "--top-k",
       .value = &w.options.top_k,
       .help = "draw from the k likeliest; 0: from all",
       .shows_default = true},
      {.name = "--top-p",
       .value = &w.options.top_p,
       .help = "draw from the likeliest that reach p",
       .shows_default = true},
      {.name = "--seed", .value = &w.options.seed, .help = "of the draws", .shows_default = true},
      {.name = "--device", .value = &w.device, .help = "device to run on", .shows_default = true},
  };
}

void print_text(const std::string& text) { std::fputs(text.c_str(), stdout); }

int generate_text(const GenerateWords& words, Clock&) {
  const OpenedModel opened = open_model(words.artifact, words.tokenizer, words.device);
  GenerateOptions options = words.options;
  if (options.context == 0) options.context = read_scoring(opened.model).eval.context;
  const TextCodec codec(opened.tokenizer);
  std::vector<int32_t> ids = codec.encode_document(words.prompt);
  const std::vector<int32_t> prompt = ids;
  // A token may be part of a character: each time the whole text is decoded and what is new and
  // final is printed.
  std::string shown;
  generate(opened.model, prompt, options, *opened.device, [&](int32_t id) {
    ids.push_back(id);
    const std::string text = codec.decode(ids);
    if (is_utf8(text) && text.starts_with(shown)) {
      print_text(text.substr(shown.size()));
      std::fflush(stdout);
      shown = text;
    }
    return std::ferror(stdout) == 0;  // nobody reads on
  });
  const std::string text = codec.decode(ids);
  if (text.starts_with(shown)) print_text(text.substr(shown.size()));
  print_text("\n");
  return 0;
}

}  // namespace

Command make_generate_command() {
  return make_command<GenerateWords>("generate", "text from an artifact's model", list_options,
                                     generate_text);
}

}  // namespace pg
