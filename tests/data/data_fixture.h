// What the tests of src/data share: a folder that cleans up after itself, a little prose, and the
// error a call throws.
#pragma once
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace pg {

class DataFolder {
 public:
  DataFolder();
  ~DataFolder();
  DataFolder(const DataFolder&) = delete;
  DataFolder& operator=(const DataFolder&) = delete;
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }
  // Writes a file, making folders as needed, and gives its path.
  std::filesystem::path write(std::string_view name, std::string_view text) const;

 private:
  std::filesystem::path path_;
};

// Sentences drawn from a fixed word list: the same for the same seed.
std::string make_prose(uint64_t seed, int64_t sentences);
// So many JSON lines of prose.
std::string make_jsonl(uint64_t seed, int64_t documents);
// A tokenizer of 300 ids trained on such prose.
std::filesystem::path train_small_tokenizer(const DataFolder& folder);
// A model trained on such prose by SentencePiece itself, with ids as the challenge has them and
// `options` ("--model_type=unigram --add_dummy_prefix=false"). Gives the file.
std::filesystem::path train_foreign_model(const DataFolder& folder, std::string_view options);
// What the library itself makes of a text, all at once.
std::vector<int32_t> encode_by_sentencepiece(const std::filesystem::path& model,
                                             std::string_view text);
// Of the ids' scores in a model, in double.
double sum_scores(const std::filesystem::path& model, const std::vector<int32_t>& ids);
// Ids 0, 1, 2, ... modulo `modulus`.
std::vector<uint16_t> make_ids(int64_t count, int64_t modulus);

// What() of the pg::Error that the call throws; empty when it throws none.
std::string catch_error(const std::function<void()>& call);
// Whether the message holds the part; prints both when not.
testing::AssertionResult says(std::string_view message, std::string_view part);

}  // namespace pg
