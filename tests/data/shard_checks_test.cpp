#include "src/data/corpus/shard_checks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "src/base/bytes.h"
#include "src/base/rng.h"
#include "src/data/corpus/corpus.h"
#include "src/data/corpus/write_shard.h"
#include "tests/data/data_fixture.h"

namespace pg {
namespace {

class ShardChecksTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = std::make_unique<DataFolder>();
    tokenizer_ = std::make_unique<Tokenizer>(train_small_tokenizer(*shared_));
  }
  static void TearDownTestSuite() {
    tokenizer_.reset();
    shared_.reset();
  }

  // Shards of `documents` under that name, in several files.
  std::string tokenize(const std::string& name, const std::string& lines) const {
    TokenizeOptions options;
    options.input = folder_.write(name + ".jsonl", lines);
    options.tokenizer = *shared_ / "small.model";
    options.output_folder = folder_ / "shards";
    options.name = name;
    options.val_every = 0;
    options.shard_tokens = 400;
    EXPECT_GT(tokenize_corpus(options).shards.size(), 2u);
    return (folder_ / ("shards/" + name + "_train_*.bin")).string();
  }
  std::filesystem::path shard(const std::string& name, int number) const {
    return folder_ / ("shards/" + name + "_train_00000" + std::to_string(number) + ".bin");
  }
  TokenStream open(const std::string& shards) const {
    return TokenStream::open(shards, tokenizer_->vocab_size());
  }
  // The one fault that there is.
  std::string find_fault(const std::string& shards) const {
    const DataFaults faults = find_shard_faults(shards, tokenizer_->sha256());
    EXPECT_EQ(faults.size(), 1u);
    return faults.empty() ? "" : faults[0];
  }

  DataFolder folder_;
  static inline std::unique_ptr<DataFolder> shared_;
  static inline std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_F(ShardChecksTest, WholeShardsHaveNoFault) {
  const std::string shards = tokenize("a", make_jsonl(1, 60));
  EXPECT_EQ(find_shard_faults(shards, tokenizer_->sha256()), DataFaults{});
  EXPECT_EQ(find_content_faults(open(shards)), DataFaults{});
  EXPECT_EQ(find_byte_faults(open(shards), *tokenizer_), DataFaults{});
  // A part of them is meant as one.
  EXPECT_EQ(find_shard_faults(shard("a", 1).string(), tokenizer_->sha256()), DataFaults{});
  EXPECT_EQ(find_byte_faults(open(shard("a", 1).string()), *tokenizer_), DataFaults{});
}

TEST_F(ShardChecksTest, ShardsWithoutAManifestAreTakenAsTheyAre) {
  write_shard(folder_ / "fineweb_val_000000.bin", std::vector<uint16_t>{1, 260, 261});
  const std::string shards = (folder_ / "fineweb_val_*.bin").string();
  EXPECT_EQ(find_shard_faults(shards, Sha256{}), DataFaults{});
  EXPECT_EQ(find_content_faults(open(shards)), DataFaults{});
  EXPECT_EQ(find_byte_faults(open(shards), *tokenizer_), DataFaults{});
}

TEST_F(ShardChecksTest, MissingShardIsNamed) {
  const std::string shards = tokenize("a", make_jsonl(1, 60));
  std::filesystem::remove(shard("a", 1));
  EXPECT_TRUE(says(find_fault(shards), "shards are missing: 1 of the "));
  EXPECT_TRUE(says(find_fault(shards), "the first: \"a_train_000001.bin\""));
}

TEST_F(ShardChecksTest, ShardOfAnotherSizeIsNamed) {
  const std::string shards = tokenize("a", make_jsonl(1, 60));
  write_shard(shard("a", 1), make_ids(300, 200));
  const DataFaults faults = find_shard_faults(shards, tokenizer_->sha256());
  ASSERT_EQ(faults.size(), 2u);
  EXPECT_TRUE(says(faults[0], "\"a_train_000001.bin\" has 300 tokens"));
  EXPECT_TRUE(says(faults[1], "shards are not the manifest's"));
}

TEST_F(ShardChecksTest, ShardOfOtherContentIsNamed) {
  const std::string shards = tokenize("a", make_jsonl(1, 60));
  write_shard(shard("a", 1), make_ids(400, 200));
  EXPECT_EQ(find_shard_faults(shards, tokenizer_->sha256()), DataFaults{});
  const DataFaults faults = find_content_faults(open(shards));
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_TRUE(says(faults[0], "a_train_000001.bin\" holds other tokens"));
  const DataFaults byte_faults = find_byte_faults(open(shards), *tokenizer_);
  ASSERT_EQ(byte_faults.size(), 2u);  // one of the ids is the unknown one
  EXPECT_TRUE(says(byte_faults[1], "the tokens stand for "));
}

TEST_F(ShardChecksTest, DocumentsAreCounted) {
  const std::string shards = tokenize("a", make_jsonl(1, 60));
  const std::filesystem::path path = folder_ / "shards/a_train_manifest.json";
  ShardManifest manifest = read_manifest(path);
  const int64_t documents = manifest.summary.documents;
  const TokenStream stream = open(shards);
  int64_t counted = 0;
  for (size_t i = 0; i < stream.paths().size(); ++i) counted += stream.shard_documents(i);
  EXPECT_EQ(counted, documents);
  EXPECT_EQ(find_content_faults(open(shards)), DataFaults{});
  ++manifest.summary.documents;
  write_manifest(path, manifest);
  const DataFaults faults = find_content_faults(open(shards));
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_TRUE(says(faults[0], "they hold " + std::to_string(documents) + " documents, \""));
  EXPECT_EQ(find_content_faults(open(shard("a", 0).string())), DataFaults{});  // a part of them
}

TEST_F(ShardChecksTest, ShardThatTheManifestDoesNotListIsNamed) {
  const std::string shards = tokenize("a", make_jsonl(1, 60));
  write_shard(folder_ / "shards/a_train_000099.bin", make_ids(30, 200));
  EXPECT_TRUE(says(find_fault(shards), "a_train_000099.bin\" is not in \""));
}

TEST_F(ShardChecksTest, ShardsHaveTheSplitOfTheirUse) {
  const std::string train = tokenize("a", make_jsonl(1, 60));
  const auto tokenize_val = [&](const char* split) {
    TokenizeOptions options;
    options.input = folder_ / "a.jsonl";
    options.tokenizer = *shared_ / "small.model";
    options.output_folder = folder_ / "shards";
    options.name = "a";
    options.val_every = 0;
    options.split = split;
    options.shard_tokens = 400;
    tokenize_corpus(options);
    return (folder_ / "shards/a_").string() + split + "_*.bin";
  };
  const std::string val = tokenize_val("val"), test = tokenize_val("test");
  EXPECT_EQ(find_split_faults(train, TextUse::kTrained), DataFaults{});
  EXPECT_EQ(find_split_faults(val, TextUse::kScored), DataFaults{});
  EXPECT_EQ(find_split_faults(test, TextUse::kScored), DataFaults{});
  for (const std::string& wrong : {val, (folder_ / "shards/*.bin").string()}) {
    const DataFaults faults = find_split_faults(wrong, TextUse::kTrained);
    ASSERT_EQ(faults.size(), 1u);
    EXPECT_TRUE(says(faults[0], "are of \"val\", and they are to be trained on"));
  }
  for (const std::string& wrong : {train, (folder_ / "shards/*.bin").string()}) {
    const DataFaults faults = find_split_faults(wrong, TextUse::kScored);
    ASSERT_EQ(faults.size(), 1u);
    EXPECT_TRUE(says(faults[0], "are of \"train\", and they are to be scored"));
  }
  std::filesystem::remove(folder_ / "shards/a_train_manifest.json");
  const DataFaults several =
      find_split_faults((folder_ / "shards/a_*.bin").string(), TextUse::kScored);
  ASSERT_EQ(several.size(), 1u);
  EXPECT_TRUE(says(several[0], "some of \"test\" and of \"val\""));
}

TEST_F(ShardChecksTest, RenamedShardsAreKnownByTheirContent) {
  tokenize("a", make_jsonl(1, 60));
  const auto rename_to = [&](const std::string& name) {
    const auto renamed = folder_ / ("shards/" + name);
    std::filesystem::rename(shard("a", 1), renamed);
    const DataFaults faults = find_content_faults(open(renamed.string()));
    std::filesystem::create_symlink(renamed, folder_ / "link.bin");
    EXPECT_EQ(find_content_faults(open((folder_ / "link.bin").string())).size(), 1u) << name;
    std::filesystem::remove(folder_ / "link.bin");
    std::filesystem::rename(renamed, shard("a", 1));
    EXPECT_EQ(faults.size(), 1u) << name;
    return faults.empty() ? "" : faults[0];
  };
  for (const char* name : {"a_train_1.bin", "v_000001.bin", "x.bin"}) {
    EXPECT_TRUE(says(rename_to(name), "\" is \"a_train_000001.bin\" of \"")) << name;
  }
  // Manifests of others say nothing, and shards that none lists are taken as they are.
  folder_.write("shards/b_manifest.json", "mine");
  write_shard(folder_ / "shards/own.bin", make_ids(30, 200));
  EXPECT_EQ(find_content_faults(open((folder_ / "shards/own.bin").string())), DataFaults{});
}

TEST_F(ShardChecksTest, CountsOfAManifestDoNotContradictEachOther) {
  const std::string shards = tokenize("a", make_jsonl(1, 60));
  const std::filesystem::path path = folder_ / "shards/a_train_manifest.json";
  ShardManifest manifest = read_manifest(path);
  ASSERT_EQ(manifest.summary.normalised_documents, 0);
  manifest.summary.text_bytes = 5;
  write_manifest(path, manifest);
  EXPECT_TRUE(says(find_fault(shards), "says 5 bytes of text"));
  manifest.summary.text_bytes = manifest.summary.target_bytes;
  ++manifest.vocab_size;
  write_manifest(path, manifest);
  const DataFaults faults = find_content_faults(open(shards));
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_TRUE(says(faults[0], "says a vocabulary of "));
}

TEST_F(ShardChecksTest, AShardOfAFewBytesHasNoTokens) {
  const std::string shards = tokenize("a", make_jsonl(1, 60));
  std::filesystem::resize_file(shard("a", 1), 1000);
  const DataFaults faults = find_shard_faults(shards, tokenizer_->sha256());
  ASSERT_EQ(faults.size(), 2u);
  EXPECT_TRUE(says(faults[0], "\"a_train_000001.bin\" has 0 tokens"));
}

TEST_F(ShardChecksTest, OlderManifestsAreHeldToTheirTokenCount) {
  const std::string shards = tokenize("a", make_jsonl(1, 60));
  const std::filesystem::path path = folder_ / "shards/a_train_manifest.json";
  const auto write_tokens = [&](int64_t tokens) {
    folder_.write("shards/a_train_manifest.json",
                  "{\"complete\": true, \"tokenizer_sha256\": \"" + hex(tokenizer_->sha256()) +
                      "\", \"tokens\": " + std::to_string(tokens) +
                      ", \"target_bytes\": 1, \"shards\": [\"a_train_000000.bin\"]}");
  };
  std::filesystem::remove(shard("a", 1));
  write_tokens(400);
  EXPECT_EQ(find_shard_faults(shard("a", 0).string(), tokenizer_->sha256()), DataFaults{});
  write_tokens(401);
  EXPECT_TRUE(says(find_fault(shard("a", 0).string()), "they hold 400 tokens, \""));
}

TEST_F(ShardChecksTest, BrokenManifestsSayWhatAndWhere) {
  const std::string shards = tokenize("a", make_jsonl(1, 60));
  const auto error_of = [&](const char* text) {
    folder_.write("shards/a_train_manifest.json", text);
    return catch_error([&] { find_shard_faults(shards, tokenizer_->sha256()); });
  };
  EXPECT_TRUE(says(error_of("{\"complete\": true,\n \"shards\": [}"),
                   "is no JSON (line 2, column 13: unexpected '}'"));
  EXPECT_TRUE(says(error_of("version https://git-lfs.github.com/spec/v1\n"), "git lfs pull"));
  EXPECT_TRUE(says(error_of("[1]"), "names no tokenizer"));
  EXPECT_TRUE(says(error_of("{}"), "names no tokenizer"));
  EXPECT_TRUE(says(error_of("{\"tokenizer_sha256\": 3}"), "is 3, not a text"));
  for (const char* member :
       {"\"documents\": -1", "\"documents\": \"x\"", "\"tokens\": 1.5", "\"shards\": \"x\"",
        "\"shards\": [1]", "\"shard_tokens\": [-1]", "\"complete\": 1", "\"text_bytes\": null"}) {
    const std::string text = std::string("{\"tokenizer_sha256\": \"a\", ") + member + "}";
    EXPECT_TRUE(says(error_of(text.c_str()), "\" is wrong: \"")) << member;
  }
  EXPECT_TRUE(
      says(error_of("{\"tokenizer_sha256\": \"a\", \"shards\": [\"x\"], \"fingerprints\": []}"),
           "lists 1 shards, 0 token counts, 0 fingerprints and 0 of side files"));
  EXPECT_TRUE(
      says(error_of("{\"tokenizer_sha256\": \"a\", \"complete\": true, \"shards\": [\"x\"], "
                    "\"shard_tokens\": [1, 2]}"),
           "lists 1 shards, 2 token counts"));
}

TEST_F(ShardChecksTest, FaultsAreRefusedUnlessForced) {
  EXPECT_EQ(refuse_faults({}, false), DataFaults{});
  EXPECT_EQ(refuse_faults({"a", "b"}, true), (DataFaults{"a", "b"}));
  EXPECT_EQ(
      catch_error([] {
        refuse_faults({"a", "b"}, false);
      }),
      "a (1 more faults); \"--set data.force=true\" goes on all the same, and the record says "
      "so");
}

class OverlapTest : public ShardChecksTest {
 protected:
  DataFaults find_overlap(const std::string& train, const std::string& val) const {
    return find_overlap_faults(open(train), open(val));
  }
};

TEST_F(OverlapTest, OtherTextIsNone) {
  const std::string train = tokenize("train", make_jsonl(1, 200));
  EXPECT_EQ(find_overlap(train, tokenize("val", make_jsonl(2, 60))), DataFaults{});
}

TEST_F(OverlapTest, SameFilesAreFoundByWhateverName) {
  const std::string train = tokenize("train", make_jsonl(1, 60));
  for (const std::string& val : {train, shard("train", 1).string()}) {
    ASSERT_EQ(find_overlap(train, val).size(), 1u);
    EXPECT_TRUE(says(find_overlap(train, val)[0], "are the same file"));
  }
  std::filesystem::create_symlink(shard("train", 0), folder_ / "link.bin");
  std::filesystem::create_hard_link(shard("train", 0), folder_ / "hard.bin");
  for (const char* name : {"link.bin", "hard.bin"}) {
    ASSERT_EQ(find_overlap(train, (folder_ / name).string()).size(), 1u) << name;
  }
}

TEST_F(OverlapTest, SameDocumentsAreFoundInWhateverOrder) {
  // The last documents of train stand in val, too, behind others.
  const std::string train = tokenize("train", make_jsonl(1, 200));
  const std::string shared = make_jsonl(1, 20);
  const DataFaults faults = find_overlap(train, tokenize("val", make_jsonl(2, 60) + shared));
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_TRUE(says(faults[0], "validation on training text: "));
  // A few are what any two texts share: less than a twentieth.
  const std::string few = make_jsonl(1, 3);
  EXPECT_EQ(find_overlap(train, tokenize("few", make_jsonl(3, 100) + few)), DataFaults{});
}

TEST_F(OverlapTest, SamePassagesAreFoundWhereverDocumentsBegin) {
  const std::string book = make_prose(5, 2000);
  const std::string train = tokenize("train", "{\"text\": \"" + book + "\"}\n");
  const std::string part = book.substr(book.find(". ", 20'000) + 2, 30'000);
  const DataFaults faults = find_overlap(train, tokenize("val", "{\"text\": \"" + part + "\"}\n"));
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_TRUE(says(faults[0], "samples of 512 tokens"));
}

TEST_F(OverlapTest, CopiesAreFoundInASampleOfALongText) {
  // Ids of a generator, a BOS now and then; val is a hundredth of train, from its middle.
  constexpr int64_t kTokens = int64_t{48} << 20;
  const CounterRng rng(1, kStreamTest);
  std::vector<uint16_t> ids;
  ids.reserve(static_cast<size_t>(kTokens));
  for (int64_t i = 0; i < kTokens; ++i) {
    const uint64_t bits = rng.bits(static_cast<uint64_t>(i));
    ids.push_back(static_cast<uint16_t>(bits % 1000 == 0 ? 1 : 4 + bits % 250));
  }
  const std::span<const uint16_t> all = ids;
  write_shard(folder_ / "t.bin", all);
  write_shard(folder_ / "v.bin", all.subspan(ids.size() / 2, ids.size() / 100));
  const std::string train = (folder_ / "t.bin").string();
  const DataFaults faults = find_overlap(train, (folder_ / "v.bin").string());
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_TRUE(says(faults[0], "stand in 66.7% of the training text too"));
  for (uint16_t& id : ids) id = static_cast<uint16_t>(id == 1 ? 1 : 4 + (id * 7 + 1) % 250);
  write_shard(folder_ / "o.bin", all.first(ids.size() / 100));
  EXPECT_EQ(find_overlap(train, (folder_ / "o.bin").string()), DataFaults{});
}

TEST_F(OverlapTest, StreamsShorterThanARunAreSearchedByDocument) {
  write_shard(folder_ / "t.bin", make_ids(40, 200));
  write_shard(folder_ / "v.bin", make_ids(40, 200));
  write_shard(folder_ / "o.bin", make_ids(40, 39));
  EXPECT_EQ(find_overlap((folder_ / "t.bin").string(), (folder_ / "v.bin").string()).size(), 1u);
  EXPECT_EQ(find_overlap((folder_ / "t.bin").string(), (folder_ / "o.bin").string()), DataFaults{});
}

}  // namespace
}  // namespace pg
