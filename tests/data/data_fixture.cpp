#include "tests/data/data_fixture.h"

#include <stdlib.h>

#include <array>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/base/rng.h"
#include "src/data/tokenizer.h"

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
