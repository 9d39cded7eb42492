// Logs of a killed run, cut back to its checkpoint.
#include "harness/record/log_rewind.h"

#include <gtest/gtest.h>

#include <memory>

#include "harness/record/run_log.h"
#include "harness/record/tape.h"
#include "src/text/json_object.h"
#include "tests/harness/run_fixture.h"

namespace pg {
namespace {

constexpr const char* kStart = "{\"event\":\"start\",\"resumed\":false}\n";

std::string step_line(int64_t step, int64_t log_bytes = 0) {
  return JsonObject()
             .add("event", "step")
             .add("step", step)
             .add("grad_norm", 0.5)
             .add("log_bytes", log_bytes)
             .line() +
         "\n";
}

TEST(LogRewind, StepsBehindTheCheckpointGo) {
  const std::string note = "{\"event\":\"note\",\"text\":\"swa:start step:3\"}\n";
  const RewoundLog log =
      rewind_events(kStart + step_line(1, 10) + step_line(2, 20) + note + step_line(3, 30), 2);
  EXPECT_EQ(log.text, kStart + step_line(1, 10) + step_line(2, 20));
  EXPECT_EQ(log.last_step, 2);
  EXPECT_EQ(log.log_bytes, 20);
}

TEST(LogRewind, AValidationOfTheLastStepStaysAndNotesBeforeIt) {
  const std::string validation =
      "{\"event\":\"validation\",\"step\":2,\"val_loss_nats\":1.5,\"log_bytes\":7}\n";
  const std::string note = "{\"event\":\"note\",\"text\":\"a\"}\n";
  const std::string kept = kStart + step_line(1) + note + step_line(2) + validation;
  const RewoundLog log = rewind_events(kept + note + step_line(3), 2);
  EXPECT_EQ(log.text, kept);
  EXPECT_EQ(log.log_bytes, 7);
}

TEST(LogRewind, WhatEarlierPartsSaidOfThemselvesStays) {
  const std::string resumed =
      std::string(kStart) + "{\"event\":\"note\",\"text\":\"resume:checkpoint step:1\"}\n";
  EXPECT_EQ(rewind_events(kStart + step_line(1) + resumed + step_line(2), 1).text,
            kStart + step_line(1) + resumed);
}

TEST(LogRewind, NoLineIsKeptThatCannotBeRead) {
  const std::string torn = "{\"event\":\"step\",\"step\":2,\"gr";
  EXPECT_EQ(rewind_events(kStart + step_line(1) + torn, 5).text, kStart + step_line(1));
  EXPECT_EQ(rewind_events(kStart + torn + step_line(1), 5).text, kStart) << "glued";
  EXPECT_EQ(rewind_events(torn, 5).last_step, 0);
}

// No double of that size is an int64: found by the fuzzer under UBSan.
TEST(LogRewind, AStepBeyondAllCountsIsALaterOne) {
  const std::string late = "{\"step\":1e99,\"grad_norm\":1,\"log_bytes\":-1e99}\n";
  EXPECT_EQ(rewind_events(step_line(1) + late, 5).text, step_line(1));
  EXPECT_EQ(rewind_events(late, int64_t{1} << 53).last_step, int64_t{1} << 53);
}

TEST(LogRewind, AStepIsToldOnce) {
  EXPECT_EQ(rewind_events(step_line(1) + step_line(2) + step_line(1) + step_line(2), 2).text,
            step_line(1) + step_line(2));
}

// What happened behind the last step of a run that could not be packed happens again.
TEST(LogRewind, TheEndOfATrainingGoes) {
  const std::string end =
      "{\"event\":\"stop\",\"reason\":\"max_steps\",\"step\":2,\"train_s\":1.0}\n"
      "{\"event\":\"quantized\",\"tensor\":\"a\",\"step\":0.05}\n";
  EXPECT_EQ(rewind_events(step_line(1) + step_line(2) + end, 2).text, step_line(1) + step_line(2));
}

TEST(LogRewind, TheLogIsCutWhereTheEventsSay) {
  const std::string text = "head\nstep:1/9 a\nwarning: b\nresume:checkpoint step:1\nste";
  EXPECT_EQ(rewind_log(text, 1, 16), "head\nstep:1/9 a\nresume:checkpoint step:1\n");
  EXPECT_EQ(rewind_log(text, 1, 1000), "head\nstep:1/9 a\nwarning: b\nresume:checkpoint step:1\n");
  EXPECT_EQ(rewind_log("head\nstep:1/9 a\nstep:2/9 b\nc\n", 1, -1), "head\nstep:1/9 a\n");
}

// A run of 9 steps and a part of a line, killed, and resumed from step `checkpoint`.
class ResumedLogTest : public testing::Test {
 protected:
  void write_part(int64_t first, int64_t last) {
    const RunFolder folder = open_run_folder(temporary_.path(), recipe_, false);
    events_ = folder.events(), tape_ = folder.tape(), log_ = folder.log();
    ManualClock clock;
    std::FILE* sink = std::tmpfile();
    {
      RunLog log(recipe_, folder, clock, 0.0, ProgressLine(sink, TerminalStyle::kPlain, false));
      log.write_head(RunFacts(), {});
      if (folder.is_resumed) log.on_note("resume:checkpoint step:" + std::to_string(first - 1));
      for (int64_t step = first; step <= last; ++step) {
        StepReport report = make_step(step, 0.1 * static_cast<double>(step), 2.0);
        report.log = step % 2 == 0;
        if (step == 7) log.on_note("swa:start step:7");
        log.on_step(report);
      }
    }
    std::fclose(sink);
  }

  static void tear(const std::filesystem::path& file) {
    std::filesystem::resize_file(file, std::filesystem::file_size(file) - 15);
  }

  // Steps in the order of their lines; every line must parse.
  static std::vector<int64_t> read_steps(const std::filesystem::path& file, const char* mark) {
    std::vector<int64_t> steps;
    std::istringstream lines(read_text_file(file));
    for (std::string line; std::getline(lines, line);) {
      std::vector<JsonNumber> numbers;
      EXPECT_TRUE(read_json_numbers(line, numbers)) << line;
      int64_t step = 0;
      bool has_mark = false;
      for (const JsonNumber& number : numbers) {
        if (number.key == "step") step = number.whole();
        has_mark |= number.key == mark;
      }
      if (has_mark) steps.push_back(step);
    }
    return steps;
  }

  TemporaryFolder temporary_;
  Recipe recipe_;
  std::filesystem::path events_, tape_, log_;
};

TEST_F(ResumedLogTest, EachStepIsToldOnceAndEveryLineParses) {
  write_part(1, 9);
  for (const auto& file : {events_, tape_, log_}) tear(file);
  write_steps(temporary_.path(), 5);
  write_part(6, 10);
  const std::vector<int64_t> expected = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  EXPECT_EQ(read_steps(events_, "grad_norm"), expected);
  EXPECT_EQ(read_steps(tape_, "next_window"), expected);
  const Result<Tape> tape = read_tape(read_text_file(tape_));
  ASSERT_TRUE(tape.ok()) << tape.error();
  EXPECT_EQ(tape.value().parts.size(), 2u);
  EXPECT_TRUE(tape.value().gaps.empty());
  const std::string log = read_text_file(log_);
  for (const char* once : {"step:2/", "step:4/", "step:6/", "step:8/", "swa:start step:7"}) {
    const size_t first = log.find(std::string("\n") + once);
    ASSERT_NE(first, std::string::npos) << once;
    EXPECT_EQ(log.find(std::string("\n") + once, first + 1), std::string::npos) << once;
  }
  EXPECT_EQ(log.find("is lost"), std::string::npos);
  EXPECT_TRUE(log.ends_with("ms\n"));
}

TEST_F(ResumedLogTest, ALostLogIsSaid) {
  write_part(1, 3);
  write_steps(temporary_.path(), 5);
  write_part(6, 7);
  const std::string log = read_text_file(log_);
  for (const char* name : {"run.jsonl", "tape.jsonl"}) {
    EXPECT_NE(log.find(std::string(name) + "\" ends at step 3, the checkpoint is of step 5"),
              std::string::npos)
        << log;
  }
  EXPECT_EQ(read_steps(tape_, "next_window"), (std::vector<int64_t>{1, 2, 3, 6, 7}));
}

TEST_F(ResumedLogTest, ARemovedLogIsSaid) {
  for (const char* name : {"run.jsonl", "tape.jsonl", "train_seed1337.log"}) {
    const auto clean = [&] { open_run_folder(temporary_.path(), recipe_, true); };
    clean();
    write_part(1, 5);
    write_steps(temporary_.path(), 5);
    std::filesystem::remove(temporary_.path() / name);
    write_part(6, 7);
    const std::string log = read_text_file(log_);
    EXPECT_NE(log.find("warning: \"" + (temporary_.path() / name).string()), std::string::npos)
        << log;
    EXPECT_EQ(log.find("warning: "), log.rfind("warning: ")) << log;
  }
}

TEST_F(ResumedLogTest, WithoutACheckpointTheLogsBeginAnew) {
  write_part(1, 3);
  for (const auto& file : {events_, tape_, log_}) tear(file);
  write_part(1, 2);
  EXPECT_EQ(read_steps(events_, "grad_norm"), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(read_steps(tape_, "next_window"), (std::vector<int64_t>{1, 2}));
}

}  // namespace
}  // namespace pg
