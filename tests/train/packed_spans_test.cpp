// The order of packed training's text, the sequences in it, and the lengths that grow.
#include "src/train/packed_spans.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "src/data/corpus/write_shard.h"
#include "src/data/tokenizer.h"
#include "src/train/batches.h"
#include "src/train/length_growth.h"
#include "src/train/phases.h"
#include "tests/data/data_fixture.h"

namespace pg {
namespace {

class PackedSpansTest : public testing::Test {
 protected:
  // A shard of so many ids 2, with a BOS at `documents`.
  void add_shard(const std::string& name, int64_t tokens, const std::vector<size_t>& documents) {
    std::vector<uint16_t> ids(static_cast<size_t>(tokens), 2);
    for (const size_t at : documents) ids[at] = kBosId;
    write_shard(folder_ / name, ids);
  }
  TokenStream open() const { return TokenStream::open((folder_ / "p*.bin").string(), 100); }
  DataFolder folder_;
};

std::vector<int64_t> list_starts(const Batches& batches, int64_t count) {
  std::vector<int64_t> starts;
  for (int64_t i = 0; i < count; ++i) starts.push_back(batches.window_start(i));
  return starts;
}

// Two spans of 4 + 1 tokens a step: 10 tokens. The first shard has 27 from its first document on, the
// second one too few for a step, the third 10.
TEST_F(PackedSpansTest, BeginWithADocumentOfAShardAndDropWhatIsNoWholeStep) {
  add_shard("p1.bin", 30, {3, 8});
  add_shard("p2.bin", 11, {2});
  add_shard("p3.bin", 10, {0});
  const TokenStream stream = open();
  const Batches packed = Batches(stream, Loader::kPacked, 1, 4).with_spans(4, 2);
  EXPECT_EQ(packed.windows_per_epoch(), 6);
  EXPECT_EQ(list_starts(packed, 8), (std::vector<int64_t>{3, 8, 13, 18, 41, 46, 3, 8}));
  // A longer text ends with no span that is held out.
  const Batches rest = Batches(stream, Loader::kPacked, 1, 4, 1).with_spans(4, 2);
  EXPECT_EQ(list_starts(rest, 5), (std::vector<int64_t>{3, 8, 13, 18, 3}));
}

// What reads windows beside training.
TEST_F(PackedSpansTest, OtherWindowsAreShuffled) {
  add_shard("p1.bin", 200, {0});
  const TokenStream stream = open();
  EXPECT_EQ(list_starts(Batches(stream, Loader::kPacked, 7, 8), 40),
            list_starts(Batches(stream, Loader::kShuffled, 7, 8), 40));
}

TEST_F(PackedSpansTest, TextWithoutADocumentOrRoomForAStepIsRefused) {
  add_shard("p1.bin", 30, {});
  const auto order = [&](int64_t tokens) {
    const TokenStream stream = open();
    return catch_error([&] { Batches(stream, Loader::kPacked, 1, 4).with_spans(tokens, 2); });
  };
  EXPECT_TRUE(says(order(4), "id 1, which begins one, is not in")) << order(4);
  EXPECT_TRUE(says(order(4), "train_gpt tokenize"));
  add_shard("p1.bin", 30, {29});
  add_shard("p2.bin", 30, {3});
  EXPECT_EQ(order(12), "");
  EXPECT_TRUE(says(order(13), "reads 28 tokens a step")) << order(13);
  EXPECT_TRUE(says(order(13), "has 27 from its first document on"));
}

TEST(SequenceStarts, AreTheSpansTheDocumentsAndEachFullLength) {
  const std::vector<int32_t> ids = {5, 5, 1, 5, 1, 1, 5, 5, 5, 5, 5, 5, 5, 1};
  std::vector<int32_t> starts(ids.size());
  EXPECT_TRUE(list_sequence_starts(ids, 3, starts));
  EXPECT_EQ(starts, (std::vector<int32_t>{0, 0, 2, 2, 4, 5, 5, 5, 8, 8, 8, 11, 11, 13}));
  EXPECT_FALSE(list_sequence_starts(ids, 8, starts));  // a document of just that length is whole
  EXPECT_EQ(starts, (std::vector<int32_t>{0, 0, 2, 2, 4, 5, 5, 5, 5, 5, 5, 5, 5, 13}));
}

TrainConfig make_growing(const std::string& growth) {
  TrainConfig train;
  train.seq_len = 3072;
  train.micro_batch_tokens = 2 * 3072;
  train.batch_tokens = 4 * 3072;
  train.seq_len_growth = growth;
  return train;
}

TEST(LengthGrowth, IsReadAsTheCommunityWritesIt) {
  const auto stages = list_length_stages(make_growing("1024@0.100,2048@0.700,3072@1.000"));
  ASSERT_EQ(stages.size(), 3u);
  EXPECT_EQ(stages[0].seq_len, 1024);
  EXPECT_EQ(stages[1].seq_len, 2048);
  EXPECT_EQ(stages[2].seq_len, 3072);
  EXPECT_DOUBLE_EQ(stages[0].until, 0.1);
  EXPECT_DOUBLE_EQ(stages[1].until, 0.7);
  EXPECT_EQ(list_length_stages(make_growing("")).size(), 1u);
}

TEST(LengthGrowth, WhatDoesNotGrowOrEndAsTrainingDoesIsRefused) {
  const auto problem = [](const std::string& growth) {
    return catch_error([&] { list_length_stages(make_growing(growth)); });
  };
  for (const char* growth : {"1024", "1024@", "@0.1", "1024@0.1,", "x@0.1,3072@1", "0@0.5,3072@1",
                             "1024@0,3072@1", "1024@1.5,3072@1", "1024:0.1,3072@1"}) {
    EXPECT_TRUE(says(problem(growth), "is no length and part")) << growth;
  }
  for (const char* growth :
       {"2048@0.5,1024@0.7,3072@1", "1024@0.7,2048@0.5,3072@1", "1024@0.5,1024@0.7,3072@1"}) {
    EXPECT_TRUE(says(problem(growth), "the one before")) << growth;
  }
  for (const char* growth : {"1024@0.5,2048@1", "1024@0.5,3072@0.9"}) {
    EXPECT_TRUE(says(problem(growth), "let the last stage be \"3072@1\"")) << growth;
  }
}

TEST(LengthGrowth, KeysThatContradictItAreRefused) {
  const auto problem = [](const TrainConfig& train, Loader loader = Loader::kShuffled) {
    return catch_error([&] { check_phases({}, train, loader); });
  };
  TrainConfig train = make_growing("1024@0.1,3072@1");
  EXPECT_EQ(problem(train), "");
  train.bag_inputs = true;
  train.bag_targets = 2;
  EXPECT_TRUE(says(problem(train), "train.bag_inputs"));
  train = make_growing("1024@0.1,3072@1");
  train.complement_alpha = 0.5;
  EXPECT_TRUE(says(problem(train), "train.complement_alpha"));
  EXPECT_EQ(problem(train, Loader::kPacked), "");
  train = make_growing("2@0.1,3072@1");
  train.future_targets = 2;
  EXPECT_TRUE(says(problem(train), "begins with sequences of \"2\""));
  train = make_growing("1000@0.1,3072@1");
  EXPECT_TRUE(says(problem(train), "do not divide train.micro_batch_tokens"));
  EXPECT_EQ(problem(train, Loader::kPacked), "");
}

TEST(Packing, RowsOfOneSequenceAreRefused) {
  ModelConfig model;
  TrainConfig train;
  EXPECT_NO_THROW(check_packing(model, train));
  train.bag_inputs = true;
  train.bag_targets = 2;
  EXPECT_TRUE(says(catch_error([&] { check_packing(model, train); }), "train.bag_inputs"));
  train = {};
  model.memory_tokens = 2;
  EXPECT_TRUE(says(catch_error([&] { check_packing(model, train); }), "model.memory_tokens"));
  model = {};
  model.paired_heads_at = "0";
  EXPECT_TRUE(says(catch_error([&] { check_packing(model, train); }), "model.paired_heads_at"));
}

}  // namespace
}  // namespace pg
