// `train_gpt corpus info`: figures about text and shards.
#include <fmt/format.h>

#include "harness/command/commands.h"
#include "harness/command/corpus_report.h"
#include "src/data/corpus/corpus.h"
#include "src/text/text_escape.h"
#include "src/text/text_format.h"

namespace pg {
namespace {

std::vector<Option> list_options(CorpusInfoOptions& o) {
  return {
      {.name = "train",
       .value = &o.train,
       .help = "text, a shard, or a glob that ends in .bin",
       .is_required = true},
      {.name = "--val", .value = &o.val, .help = "validation text or shards"},
      {.name = "--tokenizer",
       .value = &o.tokenizer,
       .help = "SentencePiece .model file",
       .is_required = true},
  };
}

int print_corpus_info(const CorpusInfoOptions& words, Clock&) {
  ProgressLine progress = ProgressLine::for_stream(stderr);
  CorpusInfoOptions options = words;
  options.progress = show_corpus_progress(progress);
  const CorpusInfo info = corpus_info(options);
  progress.finish();
  print_split(info.train);
  print_split(info.val);
  if (info.val_shingles > 0) {
    fmt::print("overlap {:.4f}% of the {} runs of 13 words in val occur in train\n",
               info.overlap() * 100, format_thousands(info.val_shingles));
  }
  for (const std::string& note : info.notes) progress.warn(escape_terminal(note));
  for (const SplitSummary* split : {&info.train, &info.val}) warn_of_mismatch(*split, progress);
  return 0;
}

}  // namespace

Command make_corpus_info_command() {
  return make_command<CorpusInfoOptions>("corpus info",
                                         "documents, bytes, tokens, overlap of train and val",
                                         list_options, print_corpus_info);
}

}  // namespace pg
