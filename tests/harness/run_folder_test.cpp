// What may lie in an output folder, and what may change between the parts of one run.
#include "harness/record/run_folder.h"

#include <gtest/gtest.h>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "tests/harness/run_fixture.h"

namespace pg {
namespace {

// An unfinished run of the default recipe.
class RunFolderTest : public testing::Test {
 protected:
  RunFolderTest() {
    open_run_folder(temporary_.path(), Recipe{}, false);
    write_file_atomic(folder().checkpoint(), std::string_view("x"));
  }
  RunFolder folder() const { return {.path = temporary_.path(), .seed = Recipe{}.train.seed}; }
  RunFolder reopen(const char* assignment, bool fresh = false) {
    Recipe recipe;
    apply_override(recipe, assignment);
    return open_run_folder(temporary_.path(), recipe, fresh);
  }

  TemporaryFolder temporary_;
};

TEST_F(RunFolderTest, WhatDoesNotAffectTrainingMayChangeOnAContinuedRun) {
  for (const char* assignment :
       {"train.log_every=3", "train.val_every=5", "train.checkpoint_every_s=1", "ttt.kind=lora",
        "ttt.lora_rank=2", "mix.kind=logit", "mix.learn_rate=0.1", "quant.scales=sdclip",
        "quant.cap_bytes=5", "eval.stride=7", "record.name=other", "record.blurb=new",
        "track.hardware=another", "data.val_shards=v/*.bin", "data.train_shards=moved/*.bin"}) {
    EXPECT_TRUE(reopen(assignment).is_resumed) << assignment;
  }
}

TEST_F(RunFolderTest, AnotherTrainingIsRefusedByName) {
  const std::pair<const char*, const char*> kCases[] = {
      {"optimizer.matrix_lr=0.5", "(optimizer.matrix_lr is 0.5, was 0.025)"},
      {"model.layers=3", "(model.layers is 3, was 11)"},
      {"train.average=swa", "(train.average is \"swa\", was \"ema\")"},
      {"data.loader=coprime", "(data.loader is \"coprime\", was \"sequential\")"},
      {"track.device=reference", "(track.device is \"reference\", was \"cpu\")"},
  };
  for (const auto& [assignment, message] : kCases) {
    try {
      reopen(assignment);
      ADD_FAILURE() << assignment << " was accepted";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(message), std::string::npos) << error.what();
    }
    EXPECT_TRUE(std::filesystem::exists(folder().checkpoint()));
  }
}

TEST_F(RunFolderTest, FreshDiscardsTheRunThatLiesThere) {
  EXPECT_FALSE(reopen("optimizer.matrix_lr=0.5", true).is_resumed);
  EXPECT_FALSE(std::filesystem::exists(folder().checkpoint()));
}

TEST_F(RunFolderTest, AFinishedRecordIsRefused) {
  write_file_atomic(folder().submission(), std::string_view("{}"));
  EXPECT_THROW(reopen("train.log_every=3"), Error);
}

TEST(RunFolder, AnEmptyFolderHoldsNothingToResume) {
  const TemporaryFolder temporary;
  EXPECT_FALSE(open_run_folder(temporary.path(), Recipe{}, false).is_resumed);
}

}  // namespace
}  // namespace pg
