// `train_gpt tokenizer train`: a SentencePiece model of one's own.
#include <fmt/format.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "harness/command/commands.h"
#include "harness/command/output_path.h"
#include "harness/record/progress_line.h"
#include "src/data/corpus/tokenizer_training.h"
#include "src/text/text_escape.h"

namespace pg {
namespace {

struct TokenizerTrainWords {
  std::filesystem::path input, out;
  int64_t vocab_size = 1024;
  TokenizerForm form;
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
      {.name = "--case-ops",
       .value = &w.form.has_case_ops,
       .help = "with the four operators of the case transform as pieces, for tokenize --case-ops"},
      {.name = "--lossless",
       .value = &w.form.is_lossless,
       .help = "text is not normalised and keeps its spaces: its tokens give every byte back"},
      {.name = "--out", .value = &w.out, .help = ".model file to write", .is_required = true},
  };
}

// Says every few seconds, while this thread works in the library, that it still does.
class WaitingLine {
 public:
  WaitingLine(ProgressLine& progress, std::string what)
      : progress_(progress), what_(std::move(what)) {
    show(0);
    try {
      thread_ = std::thread([this] { run(); });
    } catch (const std::system_error&) {
      // Without threads to be had, the first line stands alone.
    }
  }
  ~WaitingLine() {
    {
      const std::lock_guard lock(mutex_);
      is_done_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
    progress_.finish();
  }
  WaitingLine(const WaitingLine&) = delete;
  WaitingLine& operator=(const WaitingLine&) = delete;

 private:
  static constexpr int64_t kSeconds = 2;

  void show(int64_t seconds) {
    progress_.show(fmt::format("{}, {} s so far", what_, seconds), false);
  }
  void run() {
    std::unique_lock lock(mutex_);
    for (int64_t s = kSeconds;; s += kSeconds) {
      if (changed_.wait_for(lock, std::chrono::seconds(kSeconds), [&] { return is_done_; })) return;
      show(s);
    }
  }

  ProgressLine& progress_;
  std::string what_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_done_ = false;
  std::thread thread_;
};

int train_tokenizer_model(const TokenizerTrainWords& words, Clock&) {
  prepare_output(words.out, {words.input});
  ProgressLine progress = ProgressLine::for_stream(stderr);
  // SentencePiece's merges follow one from another: one core, and no telling how far they are.
  std::FILE* const summary = summary_stream(words.out);  // before the file has another inode
  TrainedTokenizer trained;
  {
    const WaitingLine waiting(
        progress, fmt::format("choosing {} pieces from at most 16 MB of text", words.vocab_size));
    trained = train_tokenizer(words.input, words.vocab_size, words.out, words.form);
  }
  for (const std::string& note : trained.notes) progress.warn(escape_terminal(note));
  fmt::print(summary, "{}: {} tokens, sha256 {}\n", escape_terminal(words.out.string()),
             trained.pieces, hex(trained.sha256));
  return 0;
}

}  // namespace

Command make_tokenizer_train_command() {
  return make_command<TokenizerTrainWords>("tokenizer train",
                                           "train a BPE model with the challenge's options",
                                           list_options, train_tokenizer_model);
}

}  // namespace pg
