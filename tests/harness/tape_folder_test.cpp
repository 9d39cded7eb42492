// The folder of a record and the tape that binds it: a bound file that is another is found and named.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "eval/code/coded_text.h"
#include "harness/record/run_log.h"
#include "harness/record/tape.h"
#include "harness/record/tape_chain.h"
#include "harness/record/tape_end.h"
#include "tests/harness/run_fixture.h"

namespace pg {
namespace {

// A folder with the record of a run of five steps.
class TapeFolderTest : public testing::Test {
 protected:
  void write_run(int64_t first_step) {
    const RunFolder folder = open_run_folder(path(), recipe_, false);
    folder.write(folder.artifact(recipe_.quant.matrix_bits), kArtifact);
    artifact_sha256_ = sha256(as_bytes(kArtifact));
    folder.write(folder.code(), std::string_view("code"));
    folder.write(folder.weights(), std::string_view("weights"));
    const std::vector<uint8_t> payload(400, 7);
    folder.write(folder.coded_text(),
                 write_coded_text(
                     {.artifact_sha256 = artifact_sha256_, .tokens = 1001, .payload = payload}));
    ManualClock clock;
    std::FILE* sink = std::tmpfile();
    {
      RunLog log(recipe_, folder, clock, 0.0, ProgressLine(sink, TerminalStyle::kPlain, false));
      log.write_head(RunFacts(), {});
      log.note_rehearsal(0, 0.5, 0.25);
      for (int64_t step = first_step; step <= 5; ++step) {
        log.on_step(make_step(step, 0.1 * static_cast<double>(step), 2.0));
      }
      TrainResult trained;
      trained.steps = 5;
      log.write_trained(trained);
      ScoreLine score = make_score_line(2.5, make_coded_part().bits_per_byte(), 3);
      log.write_final(score, make_coded_part());
      write_record(folder, log.finish(artifact_sha256_, "2026-11-22"));
    }
    std::fclose(sink);
  }

  const std::filesystem::path& path() const { return temporary_.path(); }
  ProbeResult probe() const { return probe_tape(path(), artifact_sha256_); }
  std::string read(const char* name) const { return read_text_file(path() / name); }
  void write(const char* name, const std::string& text) const {
    std::ofstream(path() / name, std::ios::binary) << text;
  }
  // The tape with its closing line changed and chained anew.
  void forge_end(const std::string& from, const std::string& to) const {
    std::istringstream lines(read("tape.jsonl"));
    TapeChain chain;
    std::string forged;
    for (std::string line; std::getline(lines, line);) {
      std::string bare = line.substr(0, line.rfind(",\"chain\"")) + "}";
      if (const size_t at = bare.find(from); lines.peek() == EOF && at != std::string::npos) {
        bare.replace(at, from.size(), to);
      }
      forged += chain.link(bare) + '\n';
    }
    ASSERT_NE(forged, read("tape.jsonl")) << from;
    write("tape.jsonl", forged);
  }
  void expect_fault(const std::string& fault) const {
    const ProbeResult result = probe();
    EXPECT_EQ(result.verdict, Verdict::kFail) << result.reason;
    EXPECT_NE(result.reason.find(fault), std::string::npos) << result.reason;
  }

  static constexpr std::string_view kArtifact = "an artifact";
  static constexpr const char* kBound[] = {
      "recipe.toml", "train_seed1337.log", "final_model.int6.bin", "code.zpaq",
      "val.pgt",     "submission.json"};
  TemporaryFolder temporary_;
  Recipe recipe_;
  Sha256 artifact_sha256_ = {};
};

TEST_F(TapeFolderTest, AFinishedRecordPasses) {
  write_run(1);
  const ProbeResult result = probe();
  EXPECT_EQ(result.verdict, Verdict::kPass) << result.reason;
  const Tape tape = read_tape(read("tape.jsonl")).value();
  ASSERT_TRUE(tape.end);
  EXPECT_EQ(tape.end->val_bpb, "1.28000000");
  EXPECT_EQ(tape.end->files.size(), std::size(kBound));
  for (const char* member :
       {"recipe_sha256", "revision", "dirty", "compiler", "libraries", "processor", "instructions",
        "device", "arithmetic", "threads", "ranks", "gradient_leaves", "sums", "tokenizer_sha256",
        "train_sha256", "val_sha256", "train_shards_sha256", "val_shards_sha256"}) {
    EXPECT_TRUE(tape.parts[0].identity.contains(member)) << member;
  }
}

TEST_F(TapeFolderTest, EachByteOfABoundFileCounts) {
  write_run(1);
  for (const char* name : kBound) {
    const std::string whole = read(name);
    for (size_t at = 0; at < whole.size(); ++at) {
      std::string changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ 1);
      write(name, changed);
      expect_fault(fmt::format("\"{}\" is not the file that the run wrote", name));
    }
    std::filesystem::remove(path() / name);
    expect_fault(fmt::format("\"{}\" is not there", name));
    write(name, whole);
  }
  EXPECT_EQ(probe().verdict, Verdict::kPass);
}

TEST_F(TapeFolderTest, WhatARecordMayLeaveOutIsCheckedWhereItLies) {
  write_run(1);
  for (const char* name : {"run.jsonl", "final_model.safetensors"}) {
    write(name, "other");
    expect_fault(fmt::format("\"{}\" is not the file that the run wrote", name));
    std::filesystem::remove(path() / name);
    EXPECT_EQ(probe().verdict, Verdict::kPass);
  }
  for (const char* name : {"README.md", "loss.svg"}) write(name, "mine");
  EXPECT_EQ(probe().verdict, Verdict::kPass);
}

TEST_F(TapeFolderTest, ATapeThatWasChangedOrCutFails) {
  write_run(1);
  const std::string whole = read("tape.jsonl");
  std::string changed = whole;
  changed[changed.find("\"step\":3") + 7] = '4';
  write("tape.jsonl", changed);
  expect_fault("tape.jsonl line 5: its chain is not that of the lines before it");
  write("tape.jsonl", whole.substr(0, whole.rfind("{\"event\":\"end\"")));
  expect_fault("it ends with line 8, which is no closing line");
  std::filesystem::remove(path() / "submission.json");
  EXPECT_EQ(probe().verdict, Verdict::kNotRun) << "a run that has not ended";
  std::filesystem::remove(path() / "tape.jsonl");
  EXPECT_EQ(probe().reason, "no tape.jsonl beside the artifact");
}

TEST_F(TapeFolderTest, AForgedClosingLineIsComparedWithWhatTheFilesSay) {
  write_run(1);
  const std::string whole = read("tape.jsonl");
  const auto forge = [&](const char* from, const char* to, const char* fault) {
    write("tape.jsonl", whole);
    forge_end(from, to);
    expect_fault(fault);
  };
  forge("\"1.28000000\"", "\"1.18000000\"",
        "val_bpb is 1.28000000 in submission.json and 1.18000000");
  forge("\"payload_bytes\":400", "\"payload_bytes\":300",
        "the payload of val.pgt is 400 bytes, 300 in");
  forge("\"text_bytes\":2500", "\"text_bytes\":5000", "val.pgt is 0.64000000 bits a byte long");
  forge("\"steps\":5", "\"steps\":6", "training stops at step 5, the closing line is of 6 steps");
  forge("\"code.zpaq\"", "\"../code.zpaq\"", "\"../code.zpaq\" is no name of a file in the folder");
  forge("\"code.zpaq\"", "\"notes\"", "its closing line does not bind \"code.zpaq\"");
  forge("\"artifact\":\"final_model.int6.bin\"", "\"artifact\":\"code.zpaq\"",
        "it is of another artifact");
}

// As if the run had been of another recipe than the one that lies in the folder.
TEST_F(TapeFolderTest, ARecipeThatTheRunDidNotHaveIsNamed) {
  write_run(1);
  const auto replace_recipe = [&](const std::string& text) {
    const auto sha256_of = [](const std::string& of) { return hex(sha256(as_bytes(of))); };
    const std::string before = sha256_of(read("recipe.toml"));
    write("recipe.toml", text);
    forge_end(before, sha256_of(text));
  };
  Recipe other = recipe_;
  other.optimizer.matrix_lr = 0.5;
  replace_recipe(write_recipe(other));
  expect_fault("recipe.toml is not the recipe that line 1 says");
  replace_recipe("[nothing");
  expect_fault("recipe.toml:1: not valid TOML");
}

TEST_F(TapeFolderTest, ALinkIsNoFileOfTheRecord) {
  write_run(1);
  std::filesystem::rename(path() / "code.zpaq", path() / "elsewhere");
  std::filesystem::create_symlink("elsewhere", path() / "code.zpaq");
  expect_fault("\"code.zpaq\" is no plain file");
  std::filesystem::remove(path() / "tape.jsonl");
  std::filesystem::create_symlink("elsewhere", path() / "tape.jsonl");
  expect_fault("tape.jsonl is no plain file");
}

TEST_F(TapeFolderTest, AnotherArtifactBesideItIsNotTheRecords) {
  write_run(1);
  const ProbeResult result = probe_tape(path(), sha256(as_bytes("another")));
  EXPECT_EQ(result.verdict, Verdict::kFail);
  EXPECT_NE(result.reason.find("it is of another artifact"), std::string::npos) << result.reason;
}

// A kill between the closing line and submission.json, or between listing that tape and writing it:
// the run goes on from its checkpoint.
TEST_F(TapeFolderTest, ATapeWithoutARecordIsTakenUpAgain) {
  for (const auto& [steps, is_closed] : {std::pair(5, true), {3, true}, {5, false}, {3, false}}) {
    open_run_folder(path(), recipe_, true);
    write_run(1);
    std::filesystem::remove(path() / "submission.json");
    write_steps(path(), steps);
    if (!is_closed) {
      const std::string closed = read("tape.jsonl");
      write("tape.jsonl", closed.substr(0, closed.rfind("{\"event\":\"end\"")));
    }
    write_run(steps + 1);
    EXPECT_EQ(probe().verdict, Verdict::kPass) << probe().reason;
    const Tape tape = read_tape(read("tape.jsonl")).value();
    ASSERT_EQ(tape.parts.size(), 2u);
    EXPECT_EQ(tape.parts[1].identity.at("resumed_steps"), std::to_string(steps));
    EXPECT_TRUE(tape.gaps.empty());
    EXPECT_FALSE(tape.parts[1].identity.contains("train_shards_sha256"));
    EXPECT_EQ(tape.parts[1].identity.at("train_sha256"), tape.parts[0].identity.at("train_sha256"));
  }
}

TEST_F(TapeFolderTest, ALostTapeIsAGapInTheRecord) {
  write_run(1);
  std::filesystem::remove(path() / "submission.json");
  std::filesystem::remove(path() / "tape.jsonl");
  write_steps(path(), 3);
  write_run(4);
  expect_fault("steps 1 to 3 are missing before line 3");
}

}  // namespace
}  // namespace pg
