// Byte side files: tokenising writes them, and a score rests on them only where they are what the
// tokens give back.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "src/base/bytes.h"
#include "src/data/corpus/byte_file_checks.h"
#include "src/data/corpus/case_ops.h"
#include "src/data/corpus/corpus.h"
#include "src/data/corpus/shard_checks.h"
#include "src/data/corpus/text_codec.h"
#include "src/data/corpus/token_runs.h"
#include "src/data/corpus/tokenizer_training.h"
#include "src/data/corpus/write_shard.h"
#include "tests/data/data_fixture.h"

namespace pg {
namespace {

std::vector<std::string> make_documents(uint64_t seed, int64_t count) {
  std::vector<std::string> documents;
  for (int64_t i = 0; i < count; ++i) {
    documents.push_back("The " + make_prose(seed * 1000 + static_cast<uint64_t>(i), 1 + i % 5) +
                        " NASA iPhone  caf\u00e9 \ue004\ue001x");
  }
  return documents;
}

std::string write_lines(const std::vector<std::string>& documents) {
  std::string lines;
  for (const std::string& text : documents) lines += "{\"text\": \"" + text + "\"}\n";
  return lines;
}

int64_t count_bytes(const std::vector<std::string>& documents) {
  int64_t bytes = 0;
  for (const std::string& text : documents) bytes += static_cast<int64_t>(text.size());
  return bytes;
}

class ByteFiles : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = std::make_unique<DataFolder>();
    const auto corpus = shared_->write("train.jsonl", write_lines(make_documents(7, 100)));
    train_tokenizer(corpus, 400, *shared_ / "lossless.model",
                    {.has_case_ops = true, .is_lossless = true});
    train_tokenizer(corpus, 400, *shared_ / "normalising.model", {.has_case_ops = true});
    train_tokenizer(corpus, 400, *shared_ / "plain.model");
    tokenizer_ = std::make_unique<Tokenizer>(*shared_ / "lossless.model");
  }
  static void TearDownTestSuite() {
    tokenizer_.reset();
    shared_.reset();
  }

  TokenizeOptions make_options(const std::vector<std::string>& documents) const {
    TokenizeOptions options;
    options.input = folder_.write("c.jsonl", write_lines(documents));
    options.tokenizer = *shared_ / "lossless.model";
    options.output_folder = folder_ / "shards";
    options.name = "c";
    options.val_every = 0;
    options.split = "val";
    options.shard_tokens = 700;
    options.has_case_ops = true;
    return options;
  }
  std::filesystem::path shard(const char* name) const { return folder_ / "shards" / name; }
  TokenStream open_val(const std::filesystem::path& folder) const {
    return TokenStream::open((folder / "c_val_*.bin").string(), tokenizer_->vocab_size());
  }
  TokenStream open_val() const { return open_val(folder_ / "shards"); }
  // The one fault of the shards.
  std::string find_fault() const {
    const ByteFileFindings found = check_byte_files(open_val(), *tokenizer_);
    EXPECT_EQ(found.faults.size(), 1u);
    return found.faults.empty() ? "" : found.faults[0];
  }
  static std::vector<uint16_t> read_shard(const std::filesystem::path& path) {
    std::vector<int32_t> ids;
    append_shard(path, ids);
    return {ids.begin(), ids.end()};
  }
  // Adds to one entry of a side file.
  void forge(const char* name, size_t at, int add) const {
    std::vector<uint16_t> entries = read_shard(shard(name));
    entries[at] = static_cast<uint16_t>(entries[at] + add);
    write_shard(shard(name), entries);
  }
  void remove_manifest() const { std::filesystem::remove(shard("c_val_manifest.json")); }

  const DataFolder folder_;
  static inline std::unique_ptr<DataFolder> shared_;
  static inline std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_F(ByteFiles, SumUpToTheBytesOfEachText) {
  const std::vector<std::string> documents = make_documents(1, 40);
  const TokenizeSummary summary = tokenize_corpus(make_options(documents));
  ASSERT_GT(summary.shards.size(), 2u);
  EXPECT_EQ(summary.splits[0].target_bytes, count_bytes(documents));
  EXPECT_EQ(summary.splits[0].text_bytes, count_bytes(documents));
  const TokenStream stream = open_val();
  EXPECT_EQ(stream.paths(), summary.shards) << "side files are no shards of tokens";
  std::vector<uint16_t> entries;
  for (const auto& path : summary.shards) {
    const std::vector<uint16_t> more = read_shard(name_byte_file(path));
    entries.insert(entries.end(), more.begin(), more.end());
  }
  ASSERT_EQ(static_cast<int64_t>(entries.size()), stream.size());
  const TextCodec codec(*tokenizer_);
  const std::vector<int32_t>& operators = tokenizer_->byte_table().operators;
  size_t document = 0, at = 0;
  int64_t silent_operators = 0, literal_operators = 0;
  visit_documents(stream, [&](std::span<const int32_t> ids) {
    EXPECT_EQ(codec.decode(ids.subspan(1)), documents[document]);
    EXPECT_EQ(entries[at], 0) << "of BOS";
    int64_t bytes = 0;
    for (const int32_t id : ids) {
      bytes += entries[at];
      if (std::ranges::find(operators, id) != operators.end()) {
        (entries[at] == 0 ? silent_operators : literal_operators) += 1;
        EXPECT_TRUE(entries[at] == 0 || entries[at] == 3);
      }
      ++at;
    }
    EXPECT_EQ(bytes, static_cast<int64_t>(documents[document].size()));
    ++document;
  });
  EXPECT_EQ(document, documents.size());
  EXPECT_EQ(literal_operators, 2 * std::ssize(documents));
  EXPECT_GT(silent_operators, 3 * std::ssize(documents));
  const ByteFileFindings found = check_byte_files(stream, *tokenizer_);
  EXPECT_EQ(found.faults, DataFaults{});
  EXPECT_EQ(found.note, "");
  EXPECT_EQ(find_byte_faults(stream, *tokenizer_), DataFaults{});
  EXPECT_EQ(find_transform_faults((folder_ / "shards").string(), *tokenizer_), DataFaults{});
}

TEST_F(ByteFiles, StandBesideWhatIsScoredAlone) {
  TokenizeOptions options = make_options(make_documents(1, 40));
  options.val_every = 4;
  options.split = "";
  tokenize_corpus(options);
  EXPECT_TRUE(std::filesystem::exists(shard("c_train_000000.bin")));
  EXPECT_FALSE(std::filesystem::exists(shard("c_train_bytes_000000.bin")));
  EXPECT_TRUE(std::filesystem::exists(shard("c_val_bytes_000000.bin")));
}

TEST_F(ByteFiles, OfAnEarlierRunAreReplacedWithItsShards) {
  TokenizeOptions options = make_options(make_documents(1, 40));
  const size_t shards = tokenize_corpus(options).shards.size();
  options = make_options(make_documents(1, 10));
  options.force = true;
  ASSERT_LT(tokenize_corpus(options).shards.size(), shards);
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_ / "shards")) {
    files += entry.path().extension() == ".bin" ? 1 : 0;
  }
  EXPECT_EQ(files, 2 * open_val().paths().size());
  EXPECT_EQ(check_byte_files(open_val(), *tokenizer_).faults, DataFaults{});
  options = make_options(make_documents(1, 10));
  options.split = "bytes";
  EXPECT_TRUE(says(catch_error([&] { tokenize_corpus(options); }), "bad name of a split"));
}

TEST_F(ByteFiles, TokenizerAndTransformMustGoTogether) {
  TokenizeOptions options = make_options(make_documents(1, 4));
  options.tokenizer = *shared_ / "plain.model";
  EXPECT_TRUE(says(catch_error([&] { tokenize_corpus(options); }),
                   "lacks U+E001 to U+E004 as pieces of their own; train one with"));
  options.tokenizer = *shared_ / "lossless.model";
  options.has_case_ops = false;
  EXPECT_TRUE(says(catch_error([&] { tokenize_corpus(options); }), "add --case-ops"));
  EXPECT_FALSE(std::filesystem::exists(shard("c_val_000000.bin")));
  // Shards that somebody made otherwise.
  options.has_case_ops = true;
  tokenize_corpus(options);
  std::string manifest = read_text_file(shard("c_val_manifest.json"));
  manifest.replace(manifest.find(kCaseOpsName), kCaseOpsName.size(), "none");
  folder_.write("shards/c_val_manifest.json", manifest);
  const DataFaults faults = find_transform_faults((folder_ / "shards").string(), *tokenizer_);
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_TRUE(says(faults[0], "shards of text without the case transform"));
}

TEST_F(ByteFiles, MissingOrOfAnotherLengthAreNamed) {
  tokenize_corpus(make_options(make_documents(1, 40)));
  std::filesystem::remove(shard("c_val_bytes_000001.bin"));
  EXPECT_TRUE(says(find_fault(), "byte side file is missing: "));
  std::vector<uint16_t> entries = read_shard(shard("c_val_000001.bin"));
  entries.pop_back();
  write_shard(shard("c_val_bytes_000001.bin"), entries);
  EXPECT_TRUE(says(find_fault(), "has 699 entries, "));
}

TEST_F(ByteFiles, ForgedOnesAreNamed) {
  tokenize_corpus(make_options(make_documents(1, 40)));
  forge("c_val_bytes_000001.bin", 5, 1);
  EXPECT_TRUE(says(find_fault(), "byte side file is not the manifest's"));
  remove_manifest();  // then the tokens tell
  EXPECT_TRUE(says(find_fault(), "byte side file is of another text: 1 of "));
}

TEST_F(ByteFiles, OfAnotherCorpusAreNamed) {
  tokenize_corpus(make_options(make_documents(2, 40)));
  const Bytes other = read_file(shard("c_val_bytes_000000.bin"));
  TokenizeOptions options = make_options(make_documents(1, 40));
  options.force = true;
  tokenize_corpus(options);
  remove_manifest();
  std::ofstream(shard("c_val_bytes_000000.bin"), std::ios::binary)
      .write(reinterpret_cast<const char*>(other.data()),
             static_cast<std::streamsize>(other.size()));
  EXPECT_TRUE(says(find_fault(), "byte side file is of another text"));
}

// Bytes that make an operator would be charged and give nothing back.
TEST_F(ByteFiles, TokensThatSpellAnOperatorInBytesAreNamed) {
  tokenize_corpus(make_options(make_documents(1, 4)));
  remove_manifest();
  const int32_t first_byte = tokenizer_->byte_table().operators.back() + 1;
  const auto byte_piece = [&](int byte) { return static_cast<uint16_t>(first_byte + byte); };
  write_shard(shard("c_val_000000.bin"),
              std::vector<uint16_t>{1, byte_piece(0xee), byte_piece(0x80), byte_piece(0x81),
                                    byte_piece('a')});
  write_shard(shard("c_val_bytes_000000.bin"), std::vector<uint16_t>{0, 1, 1, 1, 1});
  const TokenStream stream =
      TokenStream::open(shard("c_val_000000.bin").string(), tokenizer_->vocab_size());
  const ByteFileFindings found = check_byte_files(stream, *tokenizer_);
  ASSERT_EQ(found.faults.size(), 1u);
  EXPECT_TRUE(says(found.faults[0], "charged with 4 bytes and give back 1"));
}

// Published files count the text as it was before nmt_nfkc.
TEST_F(ByteFiles, PublishedOnesMayCountWhatNormalisationTook) {
  TokenizeOptions options = make_options(make_documents(1, 400));
  options.tokenizer = *shared_ / "normalising.model";
  options.shard_tokens = 1'000'000;
  tokenize_corpus(options);
  const Tokenizer tokenizer(options.tokenizer);
  const auto check = [&] { return check_byte_files(open_val(), tokenizer); };
  EXPECT_EQ(check().faults, DataFaults{});
  EXPECT_EQ(check().note, "");
  const std::vector<uint16_t> entries = read_shard(shard("c_val_bytes_000000.bin"));
  const auto space = static_cast<size_t>(std::ranges::find(entries, 6) - entries.begin());
  ASSERT_LT(space, entries.size());
  forge("c_val_bytes_000000.bin", space, 1);
  ASSERT_EQ(check().faults.size(), 1u) << "shards with a manifest are ours";
  remove_manifest();
  EXPECT_EQ(check().faults, DataFaults{});
  EXPECT_TRUE(says(check().note, "the byte side files count the text before"));
  forge("c_val_bytes_000000.bin", space, 20);  // more than one in ten thousand
  ASSERT_EQ(check().faults.size(), 1u);
  forge("c_val_bytes_000000.bin", space, -21);
  forge("c_val_bytes_000000.bin", 0, 1);  // BOS stands for nothing
  ASSERT_EQ(check().faults.size(), 1u);
  EXPECT_TRUE(says(check().faults[0], "byte side file is of another text"));
}

TEST(ByteFileName, StandsBesideItsShard) {
  EXPECT_EQ(name_byte_file("a/fineweb_val_000007.bin"), "a/fineweb_val_bytes_000007.bin");
  EXPECT_EQ(name_byte_file("val.bin"), "val_bytes.bin");
}

}  // namespace
}  // namespace pg
