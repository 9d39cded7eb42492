// What may lie in an output folder, and what may change between the parts of one run.
#include "harness/record/run_folder.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <set>
#include <sstream>
#include <string>

#include "harness/record/folder_lock.h"
#include "harness/record/run_files.h"
#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/files/write_file.h"
#include "tests/harness/run_fixture.h"

namespace pg {
namespace {

// What it throws; "" when it does not.
template <class Action>
std::string error_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

// An unfinished run of the default recipe.
class RunFolderTest : public testing::Test {
 protected:
  RunFolderTest() {
    open_run_folder(temporary_.path(), Recipe{}, false);
    write_steps(temporary_.path(), 3);
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

// The machine went down when the record stood already and the end of a log was not on disk.
TEST_F(RunFolderTest, AFinishedRecordKeepsNoPartOfALine) {
  folder().write(folder().submission(), "{}");
  folder().write(folder().events(), "{\"event\":\"start\",\"a\":1}\n{\"event\":\"st");
  const std::string message = error_of([&] { reopen("train.log_every=3"); });
  EXPECT_NE(message.find("run.jsonl had a cut last line"), std::string::npos) << message;
  EXPECT_EQ(read_text_file(folder().events()), "{\"event\":\"start\",\"a\":1}\n");
  EXPECT_FALSE(RunFiles(temporary_.path()).is_foreign("run.jsonl"));
}

TEST_F(RunFolderTest, TheStepsOfTheCheckpointAreKnown) {
  EXPECT_EQ(reopen("train.log_every=3").resumed_steps, 3);
}

TEST_F(RunFolderTest, ACheckpointGoesOnWithoutItsRecipe) {
  std::filesystem::remove(folder().recipe());
  EXPECT_TRUE(reopen("train.log_every=3").is_resumed);
}

TEST_F(RunFolderTest, WhatAUserChangedIsNoLongerTheRuns) {
  const std::string changed = read_text_file(folder().recipe()) + "# my comment\n";
  write_file_atomic(folder().recipe(), changed);
  for (const bool fresh : {false, true}) {
    const std::string message = error_of([&] { reopen("train.log_every=3", fresh); });
    EXPECT_NE(message.find("changed since: recipe.toml in \""), std::string::npos) << message;
    EXPECT_EQ(read_text_file(folder().recipe()), changed);
    EXPECT_TRUE(std::filesystem::exists(folder().checkpoint()));
  }
}

TEST_F(RunFolderTest, FreshRemovesAllOfTheRunAndNothingElse) {
  write_file_atomic(folder().log(), "[track]\nname");  // cut by a kill
  write_file_atomic(folder().events(), "{\"event\":\"start\",\"resumed\":false}\n");
  for (const auto& file : {folder().artifact(3), folder().weights(), folder().readme()}) {
    folder().write(file, "by the run");
  }
  write_file_atomic(temporary_.path() / "notes.txt", "mine");
  write_file_atomic(temporary_.path() / "final_model.int5.bin", "mine");
  const RunFolder fresh = reopen("train.seed=7", true);
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(temporary_.path())) {
    names.insert(entry.path().filename().string());
  }
  EXPECT_EQ(names, (std::set<std::string>{".run_files", ".run_lock", "recipe.toml", "notes.txt",
                                          "final_model.int5.bin"}));
}

TEST_F(RunFolderTest, FreshNeedsNoRecipeThatItCanRead) {
  folder().write(folder().recipe(), "[of_a_later_version]\nkey = 1\n");
  const std::string message = error_of([&] { reopen("train.log_every=3"); });
  EXPECT_NE(message.find("unknown section"), std::string::npos) << message;
  EXPECT_NE(message.find("--fresh"), std::string::npos) << message;
  EXPECT_FALSE(reopen("train.log_every=3", true).is_resumed);
}

TEST_F(RunFolderTest, FreshSetsARunsBrokenRecipeAside) {
  for (const char* name : {"recipe.toml.before", "recipe.toml.before2"}) {
    write_file_atomic(folder().recipe(), "no recipe");
    EXPECT_NE(error_of([&] { reopen("train.log_every=3"); }), "");
    EXPECT_EQ(read_text_file(folder().recipe()), "no recipe");
    const RunFolder fresh = reopen("train.log_every=3", true);
    EXPECT_EQ(read_text_file(temporary_.path() / name), "no recipe");
    ASSERT_EQ(fresh.remarks.size(), 1u);
    EXPECT_NE(fresh.remarks[0].find(name), std::string::npos);
  }
}

TEST_F(RunFolderTest, ThroughALinkTheFileBehindItIsRemovedAndTheLinkStays) {
  const TemporaryFolder big("big");
  folder().write(folder().weights(), "by the run");
  std::filesystem::rename(folder().weights(), big.path() / "weights");
  std::filesystem::create_symlink(big.path() / "weights", folder().weights());
  reopen("train.log_every=3", true);
  EXPECT_FALSE(std::filesystem::exists(big.path() / "weights"));
  EXPECT_TRUE(std::filesystem::is_symlink(folder().weights()));
}

TEST_F(RunFolderTest, WhatAKillLeftHalfWrittenGoesAndUsersFilesStay) {
  const auto stray = temporary_.path() / ".checkpoint.bin.71-0.train_gpt.tmp";
  write_file_atomic(stray, "half");
  for (const char* name : {"checkpoint.bin.tmp", "README.md.tmp", "other.tmp"}) {
    write_file_atomic(temporary_.path() / name, "mine");
  }
  reopen("train.log_every=3");
  EXPECT_FALSE(std::filesystem::exists(stray));
  for (const char* name : {"checkpoint.bin.tmp", "README.md.tmp", "other.tmp"}) {
    EXPECT_EQ(read_text_file(temporary_.path() / name), "mine");
  }
}

TEST_F(RunFolderTest, WhatComesDuringTheRunIsRenamed) {
  write_file_atomic(folder().readme(), "mine");
  folder().write(folder().readme(), "the run's");
  folder().write(folder().readme(), "the run's, again");
  EXPECT_EQ(read_text_file(folder().readme()), "the run's, again");
  EXPECT_EQ(read_text_file(temporary_.path() / "README.md.before"), "mine");
  EXPECT_FALSE(std::filesystem::exists(temporary_.path() / "README.md.before2"));
}

TEST_F(RunFolderTest, AListOfFilesElsewhereRemovesNothingThere) {
  const TemporaryFolder other("other");
  write_file_atomic(other.path() / "a", "mine");
  list_run_file(temporary_.path(), "../" + other.path().filename().string() + "/a",
                sha256(as_bytes("mine")));
  reopen("train.log_every=3", true);
  EXPECT_TRUE(std::filesystem::exists(other.path() / "a"));
}

TEST_F(RunFolderTest, AFileThatCannotBeWrittenSaysWhatIsKept) {
  const auto file = folder().recipe() / "below_a_file";
  const std::string message = error_of([&] { folder().write(file, "text"); });
  EXPECT_NE(message.find("the training up to step 3 is kept in \""), std::string::npos) << message;
  EXPECT_NE(message.find("the same command again"), std::string::npos) << message;
}

TEST_F(RunFolderTest, FreshDiscardsTheRunThatLiesThere) {
  EXPECT_FALSE(reopen("optimizer.matrix_lr=0.5", true).is_resumed);
  EXPECT_FALSE(std::filesystem::exists(folder().checkpoint()));
}

TEST_F(RunFolderTest, AFinishedRecordIsRefused) {
  folder().write(folder().submission(), "{}");
  EXPECT_NE(error_of([&] { reopen("train.log_every=3"); }).find("holds a finished record"),
            std::string::npos);
}

TEST(RunFolder, WhatNoRunWroteIsRefusedAndStays) {
  const Recipe recipe;
  const RunFolder names = {.seed = recipe.train.seed};
  for (const auto& name :
       {names.recipe(), names.log(), names.events(), names.tape(), names.checkpoint(), names.plot(),
        names.submission(), names.readme(), names.weights(),
        names.artifact(recipe.quant.matrix_bits), std::filesystem::path(".run_files")}) {
    for (const bool fresh : {false, true}) {
      const TemporaryFolder temporary;
      write_file_atomic(temporary.path() / name, "mine");
      const std::string message =
          error_of([&] { open_run_folder(temporary.path(), recipe, fresh); });
      EXPECT_NE(message.find(name.string() + " in \""), std::string::npos) << message;
      EXPECT_NE(message.find("--out"), std::string::npos) << message;
      EXPECT_EQ(read_text_file(temporary.path() / name), "mine");
      const auto entries = std::filesystem::directory_iterator(temporary.path());
      EXPECT_EQ(std::distance(begin(entries), end(entries)), 1);
    }
  }
}

TEST(RunFolder, AFolderInTheWayOfAFileIsRefused) {
  const TemporaryFolder temporary;
  std::filesystem::create_directory(temporary.path() / "loss.svg");
  EXPECT_NE(error_of([&] { open_run_folder(temporary.path(), Recipe{}, true); }).find("loss.svg"),
            std::string::npos);
}

TEST(RunFolder, ItsPathIsAbsoluteAndNamesTheFolder) {
  const TemporaryFolder temporary;
  for (const char* end : {"/a", "/a/", "/a/.", "/b/../a"}) {
    const RunFolder folder = open_run_folder(temporary.path().string() + end, Recipe{}, false);
    EXPECT_EQ(folder.path, temporary.path() / "a");
  }
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(temporary.path());
  const RunFolder folder = open_run_folder("c", Recipe{}, false);
  std::filesystem::current_path(before);
  EXPECT_EQ(folder.path, std::filesystem::canonical(temporary.path()) / "c");
  EXPECT_EQ(folder.shown, "c");
}

TEST(RunFolder, AFolderInUseIsRefusedNamingItsRun) {
  const TemporaryFolder temporary;
  auto first = std::make_unique<RunFolder>(open_run_folder(temporary.path(), Recipe{}, false));
  const RunFolder copy = *first;
  for (const bool fresh : {false, true}) {
    const std::string message =
        error_of([&] { open_run_folder(temporary.path(), Recipe{}, fresh); });
    EXPECT_NE(message.find("in use"), std::string::npos) << message;
    EXPECT_NE(message.find(fmt::format("process {} on ", ::getpid())), std::string::npos)
        << message;
  }
  first.reset();
  EXPECT_NE(error_of([&] { open_run_folder(temporary.path(), Recipe{}, false); }), "")
      << "the copy still holds it";
}

TEST(RunFolder, TheLockGoesWithItsRun) {
  const TemporaryFolder temporary;
  open_run_folder(temporary.path(), Recipe{}, false);
  EXPECT_FALSE(std::filesystem::exists(temporary.path() / ".run_lock"));
  EXPECT_EQ(open_run_folder(temporary.path(), Recipe{}, false).lock->stale_holder(), "");
}

TEST(RunFolder, ALockOfADeadRunIsSeenAsSuch) {
  const TemporaryFolder temporary;
  write_file_atomic(temporary.path() / ".run_lock", "999999999 1 gold 2026-11-22 10:11:12\n");
  const RunFolder folder = open_run_folder(temporary.path(), Recipe{}, false);
  EXPECT_EQ(folder.lock->stale_holder(), "process 999999999 on gold since 2026-11-22 10:11:12");
}

TEST(RunFolder, AUsersFileUnderTheLocksNameStays) {
  for (const char* text : {"mine", "123 things to do", "7 8 gold then", "1 2 3\n"}) {
    const TemporaryFolder temporary;
    const auto file = temporary.path() / ".run_lock";
    write_file_atomic(file, text);
    const std::string message =
        error_of([&] { open_run_folder(temporary.path(), Recipe{}, true); });
    EXPECT_NE(message.find("is no lock of ours"), std::string::npos) << message;
    EXPECT_EQ(read_text_file(file), text);
  }
}

// Where the file system has no locks.
TEST(FolderLock, AHolderLivesWithItsProcessAndItsStart) {
  const std::string own = describe_own_lock();
  EXPECT_TRUE(may_be_alive(own));
  EXPECT_FALSE(may_be_alive(""));
  EXPECT_FALSE(may_be_alive("no lock"));
  std::istringstream words(own);
  std::string pid, ticks, host;
  words >> pid >> ticks >> host;
  EXPECT_FALSE(may_be_alive(fmt::format("999999999 {} {} 2026-11-22 10:11:12", ticks, host)));
  EXPECT_FALSE(may_be_alive(fmt::format("{} {}1 {} 2026-11-22 10:11:12", pid, ticks, host)))
      << "number used again";
  EXPECT_TRUE(may_be_alive(fmt::format("999999999 {} {}_other 2026-11-22 10:11:12", ticks, host)));
}

TEST(RunFolder, AnEmptyFolderHoldsNothingToResume) {
  const TemporaryFolder temporary;
  EXPECT_FALSE(open_run_folder(temporary.path(), Recipe{}, false).is_resumed);
}

}  // namespace
}  // namespace pg
