#include "src/data/corpus/corpus.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>

#include "src/base/bytes.h"
#include "src/base/threads.h"
#include "src/data/corpus/shard_checks.h"
#include "src/data/corpus/shingles.h"
#include "src/data/corpus/text_codec.h"
#include "src/data/corpus/write_shard.h"
#include "src/data/token_file.h"
#include "tests/data/data_fixture.h"

namespace pg {
namespace {

class CorpusTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = std::make_unique<DataFolder>();
    train_small_tokenizer(*shared_);
  }
  static void TearDownTestSuite() { shared_.reset(); }
  static std::filesystem::path tokenizer_path() { return *shared_ / "small.model"; }

  TokenizeOptions make_options(const std::filesystem::path& input) const {
    TokenizeOptions options;
    options.input = input;
    options.tokenizer = tokenizer_path();
    options.output_folder = folder_ / "shards";
    options.val_every = 4;
    return options;
  }
  std::vector<int32_t> read_shards(std::string_view glob) const {
    const TokenStream stream = TokenStream::open((folder_ / "shards" / glob).string(), 300);
    std::vector<int32_t> ids(static_cast<size_t>(stream.size()));
    stream.read(0, ids);
    return ids;
  }

  DataFolder folder_;
  static inline std::unique_ptr<DataFolder> shared_;
};

TEST_F(CorpusTest, ShardsDecodeBackToTheDocuments) {
  TokenizeOptions options = make_options(folder_.write("c.jsonl", make_jsonl(1, 5)));
  options.val_every = 0;
  options.shard_tokens = 97;  // documents straddle shards
  const TokenizeSummary summary = tokenize_corpus(options);
  ASSERT_EQ(summary.splits.size(), 1u);
  EXPECT_GT(summary.shards.size(), 2u);
  const Tokenizer tokenizer(tokenizer_path());
  const TextCodec codec(tokenizer);
  std::vector<int32_t> expected;
  int64_t bytes = 0;
  for (uint64_t i = 0; i < 5; ++i) {
    const std::string text = make_prose(1000 + i, 1 + static_cast<int64_t>(i));
    const std::vector<int32_t> ids = codec.encode_document(text);
    expected.insert(expected.end(), ids.begin(), ids.end());
    bytes += static_cast<int64_t>(text.size());
  }
  EXPECT_EQ(read_shards("corpus_train_*.bin"), expected);
  const SplitSummary& split = summary.splits[0];
  EXPECT_EQ(split.documents, 5);
  EXPECT_EQ(split.text_bytes, bytes);
  EXPECT_EQ(split.target_bytes, bytes);
  EXPECT_EQ(split.tokens, static_cast<int64_t>(expected.size()));
  EXPECT_EQ(split.normalised_documents, 0);
  EXPECT_EQ(split.byte_mismatch_documents, 0);
}

TEST_F(CorpusTest, SplitsAreDisjointAndFollowTheTextAlone) {
  const TokenizeSummary all =
      tokenize_corpus(make_options(folder_.write("c.jsonl", make_jsonl(1, 200))));
  ASSERT_EQ(all.splits.size(), 2u);
  EXPECT_EQ(all.splits[0].documents + all.splits[1].documents, 200);
  EXPECT_NEAR(static_cast<double>(all.splits[1].documents), 50,
              31);  // five standard deviations of Binomial(200, 1/4)
  // The documents of val alone go to val again, all of them.
  const Tokenizer tokenizer(tokenizer_path());
  const TextCodec codec(tokenizer);
  std::string val_lines;
  std::vector<int32_t> document;
  std::vector<int32_t> ids = read_shards("corpus_val_*.bin");
  ids.push_back(kBosId);
  for (const int32_t id : ids) {
    if (id == kBosId && !document.empty()) {
      val_lines += "{\"text\": \"" + codec.decode(document) + "\"}\n";
      document.clear();
    }
    if (id != kBosId) document.push_back(id);
  }
  TokenizeOptions options = make_options(folder_.write("v.jsonl", val_lines));
  options.force = true;
  const TokenizeSummary val = tokenize_corpus(options);
  EXPECT_EQ(val.splits[0].documents, 0);
  EXPECT_EQ(val.splits[1].documents, all.splits[1].documents);
}

// Every file of a run, by name.
std::map<std::string, Bytes> read_folder(const std::filesystem::path& folder) {
  std::map<std::string, Bytes> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    files[entry.path().filename()] = read_file(entry.path());
  }
  return files;
}

TEST_F(CorpusTest, BytesDoNotDependOnTheNumberOfThreads) {
  // Several batches at any number of threads; documents of very different lengths, some blank, some
  // changed by normalisation; shards that documents straddle.
  std::string lines;
  for (uint64_t i = 0; i < 10; ++i) {
    lines += "{\"text\": \" \"}\n{\"text\": \"two  spaces " + std::to_string(i) + "\"}\n";
    lines += make_jsonl(3 + i, 20) + "{\"text\": \"" + make_prose(i, 100) + "\"}\n";
  }
  TokenizeOptions options = make_options(folder_.write("c.jsonl", lines));
  options.shard_tokens = 10'000;
  options.batch_bytes = 3'000;
  ASSERT_GT(lines.size(), 5u * 5 * 3'000);
  const int threads = thread_count();
  std::map<std::string, Bytes> one;
  for (const int count : {1, 2, 5}) {
    set_thread_count(count);
    tokenize_corpus(options);
    const std::map<std::string, Bytes> files = read_folder(folder_ / "shards");
    if (count == 1) one = files;
    EXPECT_GT(files.size(), 4u);
    EXPECT_TRUE(files == one) << count << " threads";
  }
  set_thread_count(threads);
}

TEST_F(CorpusTest, ProgressReachesTheEndOfTheInput) {
  TokenizeOptions options = make_options(folder_.write("c.jsonl", make_jsonl(3, 100)));
  CorpusProgress last;
  options.progress = [&](const CorpusProgress& done) {
    EXPECT_GE(done.documents, last.documents);
    EXPECT_GE(done.share, last.share);
    last = done;
  };
  const TokenizeSummary summary = tokenize_corpus(options);
  EXPECT_EQ(last.documents, 100);
  EXPECT_EQ(last.text_bytes, summary.splits[0].text_bytes + summary.splits[1].text_bytes);
  EXPECT_EQ(last.share, 1.0);
}

TEST_F(CorpusTest, TheFirstBadDocumentIsTheOneReported) {
  const auto path =
      folder_.write("c.jsonl", make_jsonl(3, 10) + "{\"body\": 1}\n" + make_jsonl(4, 10) + "{\n");
  EXPECT_TRUE(says(catch_error([&] { tokenize_corpus(make_options(path)); }), "line 11"));
  const auto blank = folder_.write("b.jsonl", "{\"text\": \" \"}\n");
  EXPECT_TRUE(
      says(catch_error([&] { tokenize_corpus(make_options(blank)); }), "no prose in corpus"));
}

TEST_F(CorpusTest, TextThatCannotBeEncodedIsNamedByItsPlace) {
  TokenizeOptions options = make_options({});
  options.tokenizer = train_foreign_model(folder_, "--model_type=bpe --user_defined_symbols=aa");
  std::string lines = "{\"text\": \"a river\"}\n{\"text\": \"";
  lines.append(5'000'000, 'a');
  options.input = folder_.write("c.jsonl", lines + "\"}\n");
  EXPECT_TRUE(says(catch_error([&] { tokenize_corpus(options); }),
                   "c.jsonl\" line 2: text too long for the tokenizer"));
}

TEST_F(CorpusTest, ChangedAndEmptyDocumentsAreCounted) {
  TokenizeOptions options = make_options(folder_.write(
      "c.jsonl", "{\"text\": \"two  spaces\"}\n{\"text\": \"\"}\n{\"text\": \"new\\nline\"}\n"));
  options.val_every = 0;
  const TokenizeSummary summary = tokenize_corpus(options);
  EXPECT_EQ(summary.empty_documents, 1);
  EXPECT_EQ(summary.splits[0].documents, 2);
  EXPECT_EQ(summary.splits[0].normalised_documents,
            1);  // a new line becomes a space: the same length
  EXPECT_EQ(summary.splits[0].byte_mismatch_documents, 0);
  EXPECT_EQ(summary.splits[0].text_bytes, 19);
  EXPECT_EQ(summary.splits[0].target_bytes, 18);
}

TEST_F(CorpusTest, EarlierShardsOfTheSameNameAreReplaced) {
  TokenizeOptions options = make_options(folder_.write("c.jsonl", make_jsonl(1, 20)));
  options.val_every = 0;
  options.shard_tokens = 50;
  const size_t many = tokenize_corpus(options).shards.size();
  options.shard_tokens = 100'000;
  EXPECT_GT(many, 1u);
  EXPECT_EQ(tokenize_corpus(options).shards.size(), 1u);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "shards/corpus_train_000001.bin"));
}

// Whatever ends it: the earlier corpus goes when the new one is whole.
TEST_F(CorpusTest, AFailureLeavesTheEarlierCorpus) {
  TokenizeOptions options = make_options(folder_.write("a.jsonl", make_jsonl(1, 40)));
  options.shard_tokens = 200;
  tokenize_corpus(options);
  const auto before = read_folder(folder_ / "shards");
  options.input = folder_.write("b.jsonl", make_jsonl(2, 40) + "{broken\n");
  options.force = true;
  options.batch_bytes = 500;
  int64_t new_files = 0;
  options.progress = [&](const CorpusProgress&) {
    new_files = std::ssize(read_folder(folder_ / "shards")) - std::ssize(before);
    EXPECT_EQ(read_shards("corpus_train_*.bin").empty(), false);
  };
  EXPECT_TRUE(says(catch_error([&] { tokenize_corpus(options); }), "line 41"));
  EXPECT_GT(new_files, 2);
  EXPECT_EQ(read_folder(folder_ / "shards"), before);
}

TEST_F(CorpusTest, AFileThatIsNoManifestIsReplacedOnlyByForce) {
  TokenizeOptions options = make_options(folder_.write("a.jsonl", make_jsonl(1, 40)));
  std::filesystem::create_directories(folder_ / "shards");
  for (const char* name : {"corpus_train_manifest.json", "corpus_val_manifest.json"}) {
    const std::filesystem::path mine = folder_.write(std::string("shards/") + name, "{\"my\": 1}");
    EXPECT_TRUE(says(catch_error([&] { tokenize_corpus(options); }), "is no shard manifest"));
    EXPECT_EQ(read_text_file(mine), "{\"my\": 1}");
    std::filesystem::remove(mine);
    EXPECT_TRUE(read_folder(folder_ / "shards").empty());
  }
  folder_.write("shards/corpus_val_manifest.json", "mine");
  options.force = true;
  tokenize_corpus(options);
  EXPECT_TRUE(read_manifest(folder_ / "shards/corpus_val_manifest.json").complete);
}

TEST_F(CorpusTest, WhatAKilledRunLeftIsRemovedAndNothingElse) {
  write_shard(folder_ / "shards/corpus_train_000007.bin.train_gpt.new", make_ids(5, 5));
  const auto mine = folder_.write("shards/corpus_train_000000.bin.new", "mine");
  tokenize_corpus(make_options(folder_.write("a.jsonl", make_jsonl(1, 40))));
  EXPECT_EQ(read_text_file(mine), "mine");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "shards/corpus_train_000007.bin.train_gpt.new"));
}

TEST_F(CorpusTest, AnAbsurdNumberOfShardsIsRefusedAtOnce) {
  TokenizeOptions options = make_options(folder_.write("a.jsonl", ""));
  std::filesystem::resize_file(options.input, 2'000'000);  // of which nothing is read
  options.shard_tokens = 1;
  EXPECT_TRUE(
      says(catch_error([&] { tokenize_corpus(options); }), "too many shards: \"1\" tokens"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "shards"));
}

TEST_F(CorpusTest, ShardsOfAnotherTextAreReplacedOnlyByForce) {
  TokenizeOptions options = make_options(folder_.write("a.jsonl", make_jsonl(1, 40)));
  tokenize_corpus(options);
  const auto before = read_folder(folder_ / "shards");
  const auto is_refused = [&] {
    return says(catch_error([&] { tokenize_corpus(options); }),
                "shards of another text are in the way: \"");
  };
  options.input = folder_.write("b.jsonl", make_jsonl(2, 40));
  EXPECT_TRUE(is_refused());
  options.input = folder_ / "a.jsonl";
  options.val_every = 3;
  EXPECT_TRUE(is_refused());
  options.val_every = 0;  // train alone, of all documents
  EXPECT_TRUE(is_refused());
  EXPECT_EQ(read_folder(folder_ / "shards"), before);
  options.force = true;
  EXPECT_EQ(tokenize_corpus(options).splits[0].documents, 40);
}

// --split without --val-every 0 would put documents into train.
TEST_F(CorpusTest, OneSplitAndTwoAreContradictory) {
  TokenizeOptions options = make_options(folder_.write("c.jsonl", make_jsonl(1, 20)));
  options.split = "val";
  EXPECT_TRUE(says(catch_error([&] { tokenize_corpus(options); }), "add --val-every 0 or leave"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "shards"));
}

TEST_F(CorpusTest, WhatIsLeftOutIsCountedAndNamed) {
  folder_.write("docs/a.txt", make_prose(1, 5));
  folder_.write("docs/b.txt", "");
  folder_.write("docs/c.md", "no");
  TokenizeOptions options = make_options(folder_ / "docs");
  const TokenizeSummary summary = tokenize_corpus(options);
  ASSERT_EQ(summary.left_out.size(), 2u);
  EXPECT_TRUE(says(summary.left_out[0], "files that are no .txt (1), the first: \""));
  EXPECT_TRUE(says(summary.left_out[1], "empty documents (1), the first: \""));
  EXPECT_TRUE(says(summary.left_out[1], "docs/b.txt\" line 1"));
}

TEST_F(CorpusTest, ShardsOfAnotherSourceAreLeftAlone) {
  const TokenizeOptions options = make_options(folder_.write("c.jsonl", make_jsonl(1, 20)));
  write_shard(folder_ / "shards/corpus_train_000003.bin", make_ids(5, 5));
  EXPECT_TRUE(says(catch_error([&] { tokenize_corpus(options); }),
                   "shards of another source are in the way"));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "shards/corpus_train_000003.bin"));
}

TEST_F(CorpusTest, BadOptionsAreErrors) {
  const TokenizeOptions good = make_options(folder_.write("c.jsonl", make_jsonl(1, 20)));
  TokenizeOptions options = good;
  options.val_every = 1;
  EXPECT_TRUE(says(catch_error([&] { tokenize_corpus(options); }), "every \"1\""));
  options = good;
  options.shard_tokens = 0;
  EXPECT_TRUE(says(catch_error([&] { tokenize_corpus(options); }), "shard size out of range"));
  options = good;
  options.name = "a/b";
  EXPECT_TRUE(says(catch_error([&] { tokenize_corpus(options); }), "bad name for shards: \"a/b\""));
}

TEST_F(CorpusTest, MismatchingTokenizerIsNoticed) {
  tokenize_corpus(make_options(folder_.write("c.jsonl", make_jsonl(1, 20))));
  const Sha256 right = Tokenizer(tokenizer_path()).sha256();
  const Sha256 wrong = {};
  const std::string shards = (folder_ / "shards").string();
  for (const std::string& place :
       {shards, shards + "/corpus_train_*.bin", shards + "/corpus_val_000000.bin"}) {
    EXPECT_EQ(catch_error([&] { check_tokenizer_of_shards(place, right); }), "");
    EXPECT_TRUE(says(catch_error([&] { check_tokenizer_of_shards(place, wrong); }),
                     "tokenizer does not match the shards"));
  }
  std::filesystem::remove(folder_ / "shards/corpus_train_manifest.json");
  EXPECT_EQ(catch_error([&] { check_tokenizer_of_shards(shards + "/corpus_train_*.bin", wrong); }),
            "");
}

TEST_F(CorpusTest, UnfinishedRunIsNoticedAndCanBeRepeated) {
  const std::string good = make_jsonl(1, 50);
  TokenizeOptions options = make_options(folder_.write("c.jsonl", good + "{broken\n"));
  options.shard_tokens = 200;
  EXPECT_TRUE(says(catch_error([&] { tokenize_corpus(options); }), "line 51"));
  EXPECT_TRUE(read_folder(folder_ / "shards").empty());
  // As a kill leaves them while the new shards take their places.
  const std::string shards = (folder_ / "shards").string();
  write_shard(folder_ / "shards/corpus_train_000000.bin", make_ids(5, 5));
  ShardManifest manifest;
  manifest.tokenizer_sha256 = "a";
  write_manifest(folder_ / "shards/corpus_train_manifest.json", manifest);
  EXPECT_TRUE(says(catch_error([&] { check_tokenizer_of_shards(shards, Sha256{}); }),
                   "shards are incomplete"));
  folder_.write("c.jsonl", good);
  tokenize_corpus(options);
  const Sha256 right = Tokenizer(tokenizer_path()).sha256();
  EXPECT_EQ(catch_error([&] { check_tokenizer_of_shards(shards, right); }), "");
}

TEST_F(CorpusTest, InfoAgreesForTextAndForItsShards) {
  CorpusInfoOptions text;
  text.train = folder_.write("train.jsonl", make_jsonl(1, 30)).string();
  text.val = folder_.write("val.jsonl", make_jsonl(2, 10) + make_jsonl(1, 5)).string();
  text.tokenizer = tokenizer_path();
  const CorpusInfo from_text = corpus_info(text);
  for (const char* split : {"train", "val"}) {
    TokenizeOptions options = make_options(folder_ / (std::string(split) + ".jsonl"));
    options.val_every = 0;
    options.split = split;
    tokenize_corpus(options);
  }
  CorpusInfoOptions shards = text;
  shards.train = (folder_ / "shards/corpus_train_*.bin").string();
  shards.val = (folder_ / "shards/corpus_val_*.bin").string();
  const CorpusInfo from_shards = corpus_info(shards);
  for (const CorpusInfo& info : {from_text, from_shards}) {
    EXPECT_EQ(info.train.documents, 30);
    EXPECT_EQ(info.val.documents, 15);
    EXPECT_EQ(info.train.tokens, from_text.train.tokens);
    EXPECT_EQ(info.train.target_bytes, from_text.train.target_bytes);
    EXPECT_GT(info.train.bytes_per_token(), 1.4);
    EXPECT_EQ(info.val_shingles, from_text.val_shingles);
    EXPECT_EQ(info.shared_shingles, from_text.shared_shingles);
    EXPECT_GT(info.overlap(), 0.1);  // five documents stand in both
    EXPECT_LT(info.overlap(), 0.9);
  }
  CorpusInfoOptions folder;
  folder.train = folder_.path().string();
  folder.tokenizer = tokenizer_path();
  EXPECT_EQ(corpus_info(folder).val.documents, 15);
}

TEST(Shingles, AreRunsOfThirteenLowerCasedWords) {
  const auto shingles_of = [](std::string_view text) {
    std::vector<uint64_t> shingles;
    append_shingles(text, shingles);
    return shingles;
  };
  EXPECT_TRUE(shingles_of("1 2 3 4 5 6 7 8 9 10 11 12").empty());
  const std::vector<uint64_t> one = shingles_of("1 2 3 4 5 6 7 8 9 10 11 12 word");
  EXPECT_EQ(one.size(), 1u);
  EXPECT_EQ(shingles_of("1, 2 -- 3\n4 5 6 7 8 9 10 11 12 WORD!"), one);
  const std::vector<uint64_t> three = shingles_of("0 1 2 3 4 5 6 7 8 9 10 11 12 word z");
  ASSERT_EQ(three.size(), 3u);
  EXPECT_EQ(three[1], one[0]);  // wherever in the text it stands
  EXPECT_NE(shingles_of("2 1 3 4 5 6 7 8 9 10 11 12 word"), one);
}

TEST(Shingles, OverlapCountsDistinctOnesOnce) {
  ShingleOverlap overlap({5, 5, 7, ~uint64_t{0}, 0});
  EXPECT_EQ(overlap.distinct(), 4);
  overlap.mark({7, 7, 8, 0});
  overlap.mark({7, ~uint64_t{0}});
  EXPECT_EQ(overlap.marked(), 3);
  ShingleOverlap none({});
  none.mark({1, 2});
  EXPECT_EQ(none.marked(), 0);
}

}  // namespace
}  // namespace pg
