// Training a SentencePiece model. It is deterministic only when SentencePiece gets its sentences in
// a fixed order and draws no sample of its own (its shuffle is seeded by the machine), so sampling
// happens here, by document number.
#include "src/data/corpus/tokenizer_training.h"

#include <fmt/format.h>
#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <algorithm>
#include <unordered_map>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/data/corpus/case_ops.h"
#include "src/data/corpus/documents.h"
#include "src/data/tokenizer.h"
#include "src/files/write_file.h"

namespace pg {
namespace {

namespace sp = sentencepiece;

constexpr int64_t kMaxVocab = 65'536;       // shards hold 16-bit ids
constexpr int64_t kMinVocab = 4 + 256 + 1;  // special ids, byte pieces, the space
// Text SentencePiece is trained on at most. On 20 MB of prose, training on half of it costs 0.01 %
// more tokens than training on all, in half the time.
constexpr int64_t kTrainingBytes = int64_t{16} << 20;
// SentencePiece leaves out longer sentences without a word (its default max_sentence_length is 4192
// bytes).
constexpr size_t kSentenceBytes = 4000;

// Lines of every k-th document, long ones cut at spaces, as SentencePiece wants to be fed.
// SentencePiece is C++ with status codes, so an exception must not pass through it: the first one
// is kept for the caller.
class LineIterator final : public sp::SentenceIterator {
 public:
  LineIterator(DocumentReader& reader, int64_t document_stride, bool has_case_ops)
      : reader_(reader), document_stride_(document_stride), has_case_ops_(has_case_ops) {
    Next();
  }
  bool done() const override { return done_; }
  const std::string& value() const override { return sentence_; }
  sp::util::Status status() const override { return {}; }
  void Next() override {
    try {
      done_ = !cut_sentence();
    } catch (...) {
      error_ = std::current_exception();
      done_ = true;
    }
  }
  const std::exception_ptr& error() const { return error_; }

 private:
  bool cut_sentence() {
    for (;;) {
      while (at_ < text_.size() && (text_[at_] == '\n' || text_[at_] == ' ')) ++at_;
      if (at_ < text_.size()) break;
      if (!next_document()) return false;
    }
    size_t end = std::min(text_.find('\n', at_), text_.size());
    if (end - at_ > kSentenceBytes) {
      const size_t space = text_.rfind(' ', at_ + kSentenceBytes);
      if (space != std::string::npos && space > at_) end = space;
    }
    sentence_ = text_.substr(at_, end - at_);
    at_ = end;
    return true;
  }
  bool next_document() {
    at_ = 0;
    do {
      if (!reader_.next(text_)) return false;
    } while (documents_++ % document_stride_ != 0);
    // SentencePiece's trainer takes a NUL for the end of the text.
    std::replace(text_.begin(), text_.end(), '\0', ' ');
    if (has_case_ops_) text_ = apply_case_ops(text_);
    return true;
  }

  DocumentReader& reader_;
  int64_t document_stride_;
  bool has_case_ops_;
  int64_t documents_ = 0;
  std::string text_, sentence_;
  size_t at_ = 0;
  bool done_ = false;
  std::exception_ptr error_;
};

// The options of the challenge's own tokenizers (formulas.md 1.1).
std::unordered_map<std::string, std::string> make_training_options(int64_t vocab_size,
                                                                   const TokenizerForm& form) {
  std::unordered_map<std::string, std::string> options = {
      {"model_type", "bpe"},
      {"vocab_size", std::to_string(vocab_size)},
      {"character_coverage", "0.999"},
      {"byte_fallback", "true"},
      {"split_digits", "true"},
      {"normalization_rule_name", "nmt_nfkc"},
      {"add_dummy_prefix", "false"},
      {"hard_vocab_limit", "false"},
      {"pad_id", "0"},
      {"bos_id", "1"},
      {"eos_id", "2"},
      {"unk_id", "3"},
      {"minloglevel", "2"}};  // errors; what it warns of is in the notes
  if (form.has_case_ops) {
    options["user_defined_symbols"] = fmt::format("{}", fmt::join(kCaseOperators, ","));
  }
  if (form.is_lossless) {
    options["normalization_rule_name"] = "identity";
    options["remove_extra_whitespaces"] = "false";
  }
  return options;
}

void check_vocab_size(int64_t vocab_size, const TokenizerForm& form) {
  const int64_t least = kMinVocab + (form.has_case_ops ? std::ssize(kCaseOperators) : 0);
  if (vocab_size < least || vocab_size > kMaxVocab) {
    throw Error(fmt::format("vocabulary size out of range: \"{}\"; give {} to {}", vocab_size,
                            least, kMaxVocab));
  }
}

}  // namespace

TrainedTokenizer train_tokenizer(const std::filesystem::path& corpus, int64_t vocab_size,
                                 const std::filesystem::path& model_file,
                                 const TokenizerForm& form) {
  check_vocab_size(vocab_size, form);
  DocumentReader reader(corpus);
  const int64_t document_stride = 1 + (reader.input_bytes() - 1) / kTrainingBytes;
  LineIterator lines(reader, document_stride, form.has_case_ops);
  std::string proto;
  const sp::util::Status trained =
      sp::SentencePieceTrainer::Train(make_training_options(vocab_size, form), &lines, &proto);
  if (lines.error()) std::rethrow_exception(lines.error());
  if (!trained.ok() && trained.ToString().find("required_chars") != std::string::npos) {
    throw Error(
        fmt::format("cannot train a tokenizer with vocabulary size \"{}\": the text's characters, "
                    "the 256 bytes "
                    "and the ids 0 to 3 are more than that; give a larger size",
                    vocab_size));
  }
  if (!trained.ok()) {
    throw Error(fmt::format(
        "cannot train a tokenizer with vocabulary size \"{}\": {}; give more text or another "
        "size",
        vocab_size, trained.message()));
  }
  sp::SentencePieceProcessor model;
  if (!model.LoadFromSerializedProto(proto).ok() || model.PieceToId("\u2581") == model.unk_id()) {
    throw Error(
        fmt::format("cannot train a tokenizer: \"{}\" has no spaces between words; give prose",
                    corpus.string()));
  }
  write_file_atomic(model_file, proto);
  TrainedTokenizer result = {
      .pieces = model.GetPieceSize(), .sha256 = sha256(as_bytes(proto)), .notes = {}};
  std::vector<std::string>& notes = result.notes;
  for (const std::string& line : describe_left_out(reader.left_out())) {
    notes.push_back("left out: " + line);
  }
  if (reader.empty_documents() > 0) {
    notes.push_back(fmt::format("left out: empty documents ({})", reader.empty_documents()));
  }
  if (model.GetPieceSize() < vocab_size) {
    notes.push_back(fmt::format(
        "fewer pieces than the {} asked for: the text has repetitions for {}; give more text, or a "
        "smaller --vocab-size",
        vocab_size, model.GetPieceSize()));
  }
  return result;
}

}  // namespace pg
