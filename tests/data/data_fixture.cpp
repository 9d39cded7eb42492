#include "tests/data/data_fixture.h"

#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>
#include <stdlib.h>

#include <array>

#include "src/base/error.h"
#include "src/base/rng.h"
#include "src/data/corpus/tokenizer_training.h"
#include "src/files/write_file.h"

namespace pg {

DataFolder::DataFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "pg_data_XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw Error("cannot make a temporary folder");
  path_ = pattern;
}

DataFolder::~DataFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::filesystem::path DataFolder::write(std::string_view name, std::string_view text) const {
  write_file_atomic(path_ / name, text);
  return path_ / name;
}

std::string make_prose(uint64_t seed, int64_t sentences) {
  constexpr std::array<const char*, 20> kWords = {
      "the",    "small", "river",    "turns",    "under",  "an",   "old",
      "bridge", "where", "children", "often",    "watch",  "slow", "boats",
      "and",    "count", "their",    "lanterns", "before", "night"};
  const CounterRng rng(seed, kStreamTest);
  std::string text;
  for (int64_t i = 0; i < sentences * 8; ++i) {
    text += kWords[rng.below(static_cast<uint64_t>(i), kWords.size())];
    text += i % 8 == 7 ? ". " : " ";
  }
  text.pop_back();
  return text;
}

std::string make_jsonl(uint64_t seed, int64_t documents) {
  std::string lines;
  for (int64_t i = 0; i < documents; ++i) {
    const uint64_t document_seed = seed * 1000 + static_cast<uint64_t>(i);
    lines += "{\"text\": \"" + make_prose(document_seed, 1 + i % 5) + "\"}\n";
  }
  return lines;
}

std::filesystem::path train_small_tokenizer(const DataFolder& folder) {
  const std::filesystem::path corpus = folder.write("tokenizer_corpus.jsonl", make_jsonl(7, 100));
  const std::filesystem::path model = folder / "small.model";
  train_tokenizer(corpus, 300, model);
  return model;
}

std::filesystem::path train_foreign_model(const DataFolder& folder, std::string_view options) {
  std::string lines;
  for (uint64_t i = 0; i < 100; ++i) lines += make_prose(7000 + i, 4) + "\n";
  const std::filesystem::path text = folder.write("foreign.txt", lines);
  const std::string prefix = (folder / "foreign").string();
  const auto status = sentencepiece::SentencePieceTrainer::Train(
      "--input=" + text.string() + " --model_prefix=" + prefix +
      " --vocab_size=400 --hard_vocab_limit=false --pad_id=0 --bos_id=1 --eos_id=2 --unk_id=3"
      " --minloglevel=2 " +
      std::string(options));
  if (!status.ok()) throw Error(status.ToString());
  return prefix + ".model";
}

std::vector<int32_t> encode_by_sentencepiece(const std::filesystem::path& model,
                                             std::string_view text) {
  sentencepiece::SentencePieceProcessor processor;
  processor.LoadOrDie(model.string());
  return processor.EncodeAsIds(text);
}

double sum_scores(const std::filesystem::path& model, const std::vector<int32_t>& ids) {
  sentencepiece::SentencePieceProcessor processor;
  processor.LoadOrDie(model.string());
  double sum = 0;
  for (const int32_t id : ids) sum += static_cast<double>(processor.GetScore(id));
  return sum;
}

std::vector<uint16_t> make_ids(int64_t count, int64_t modulus) {
  std::vector<uint16_t> ids;
  for (int64_t i = 0; i < count; ++i) ids.push_back(static_cast<uint16_t>(i % modulus));
  return ids;
}

std::string catch_error(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

testing::AssertionResult says(std::string_view message, std::string_view part) {
  if (message.find(part) != std::string_view::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "\"" << message << "\" lacks \"" << part << "\"";
}

}  // namespace pg
