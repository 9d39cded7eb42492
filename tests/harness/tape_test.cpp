// Tapes: whatever is changed in one is found, and its line named.
#include "harness/record/tape.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "harness/record/log_rewind.h"
#include "harness/record/tape_chain.h"
#include "harness/record/tape_end.h"
#include "src/base/bytes.h"

namespace pg {
namespace {

constexpr const char* kStart = R"({"event":"start","tape_format":2,"resumed":false,"seed":1337})";
constexpr const char* kStop =
    R"({"event":"stop","reason":"max_steps","step":3,"averaging":"none"})";
constexpr const char* kEnd =
    R"({"event":"end","steps":3,"artifact":"a.bin","val_bpb":"1.28000000","exact":true,)"
    R"("text_bytes":2500,"payload_bytes":400,"files":{},"may_be_left_out":{}})";

std::string step_line(int64_t step) {
  return fmt::format(R"({{"step":{},"train_s":1.5,"step_s":0.5,"decided_s":1.0,"end_s":9.0,)"
                     R"("lr_multiplier":0.75,"next_window":{}}})",
                     step, 16 * step);
}

std::vector<std::string> chain_lines(const std::vector<std::string>& lines) {
  TapeChain chain;
  std::vector<std::string> chained;
  for (const std::string& line : lines) chained.push_back(chain.link(line));
  return chained;
}

std::string join(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + '\n';
  return text;
}

std::vector<std::string> small_tape() {
  return chain_lines({kStart, step_line(1), step_line(2), step_line(3), kStop, kEnd});
}

// "line 4" of "line 4: its chain ...".
std::string line_of_error(const Result<Tape>& tape) {
  return tape.ok() ? "none" : tape.error().substr(0, tape.error().find(':'));
}

std::string line_name(size_t index) { return fmt::format("line {}", index + 1); }

TEST(Tape, IsReadAsItWasWritten) {
  const Result<Tape> read = read_tape(join(small_tape()));
  ASSERT_TRUE(read.ok()) << read.error();
  const Tape& tape = read.value();
  EXPECT_EQ(tape.format, kTapeFormat);
  EXPECT_EQ(tape.lines, 6);
  ASSERT_EQ(tape.parts.size(), 1u);
  EXPECT_EQ(tape.parts[0].identity.at("seed"), "1337");
  ASSERT_EQ(tape.steps.size(), 3u);
  EXPECT_EQ(tape.steps[1].step, 2);
  EXPECT_EQ(tape.steps[1].lr_multiplier, 0.75);
  EXPECT_EQ(tape.steps[1].next_window, 32);
  ASSERT_TRUE(tape.stop && tape.end);
  EXPECT_EQ(tape.stop->reason, "max_steps");
  EXPECT_EQ(tape.end->val_bpb, "1.28000000");
  EXPECT_TRUE(tape.gaps.empty());
}

TEST(Tape, StepsShowSixteenDigitsStartAndEndAll) {
  const auto digits = [](const std::string& line) { return line.size() - line.rfind(":\"") - 4; };
  const std::vector<std::string> lines = small_tape();
  EXPECT_EQ(digits(lines.front()), 64u);
  EXPECT_EQ(digits(lines[1]), 16u);
  EXPECT_EQ(digits(lines.back()), 64u);
}

TEST(Tape, EachFlippedByteIsFoundInItsLine) {
  const std::string text = join(small_tape());
  for (size_t at = 0; at < text.size(); ++at) {
    const auto line = static_cast<size_t>(
        std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = text;
      changed[at] = static_cast<char>(changed[at] ^ (1 << bit));
      EXPECT_EQ(line_of_error(read_tape(changed)), line_name(line)) << at << " " << changed[at];
    }
  }
}

TEST(Tape, ALineRemovedMovedOrAddedIsFound) {
  const std::vector<std::string> lines = small_tape();
  for (size_t i = 0; i < lines.size(); ++i) {
    std::vector<std::string> changed = lines;
    changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(i));
    const Result<Tape> removed = read_tape(join(changed));
    if (i + 1 < lines.size()) {
      EXPECT_EQ(line_of_error(removed), line_name(i));
      changed = lines;
      std::swap(changed[i], changed[i + 1]);
      EXPECT_EQ(line_of_error(read_tape(join(changed))), line_name(i));
    } else {
      ASSERT_TRUE(removed.ok());
      EXPECT_FALSE(removed.value().end) << "closed without its closing line";
    }
    changed = lines;
    changed.insert(changed.begin() + static_cast<std::ptrdiff_t>(i), lines[i]);
    EXPECT_EQ(line_of_error(read_tape(join(changed))), line_name(i + 1));
    changed[i] = step_line(2);
    EXPECT_EQ(line_of_error(read_tape(join(changed))), line_name(i));
  }
}

TEST(Tape, ACutIsFoundWhereverItIs) {
  const std::string text = join(small_tape());
  for (size_t size = 0; size < text.size(); ++size) {
    const std::string cut = text.substr(0, size);
    const auto line = static_cast<size_t>(std::count(cut.begin(), cut.end(), '\n'));
    const Result<Tape> tape = read_tape(cut);
    if (size > 0 && cut.back() == '\n') {
      ASSERT_TRUE(tape.ok()) << tape.error();
      EXPECT_FALSE(tape.value().end);
    } else {
      EXPECT_EQ(line_of_error(tape), line_name(line));
    }
  }
}

// Chained as a stranger would, who wants the reader to fall.
TEST(Tape, WhatAChainedLineMayNotSayIsNamed) {
  const std::string deep = "{\"step\":" + std::string(100000, '[') + std::string(100000, ']') + "}";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {step_line(1), "line 3: tells of step 1 behind step 1; "},
      {"{\"step\":-1}", "line 3: \"step\" is missing or of another kind than it should be; "},
      {"{\"step\":2.5}", "line 3: \"step\" is missing or"},
      {"{\"step\":18446744073709551615}", "line 3: \"step\" is missing or"},
      {"{\"step\":2,\"train_s\":\"1\"}", "line 3: \"train_s\" is missing or"},
      {"{\"step\":2,\"train_s\":1e999}", "line 3: is no JSON object"},
      {"{\"event\":5}", "line 3: \"event\" is missing or"},
      {"{\"event\":\"stop\",\"step\":1}", "line 3: \"reason\" is missing or"},
      {"{\"event\":\"end\",\"files\":{\"a\":1}}", "line 3: \"files\" is missing or"},
      {deep, "line 3: \"step\" is missing or"},
      {"[1]", "line 3: is no JSON object"},
      {"\xff\x00", "line 3: is no JSON object"},
  };
  for (const auto& [line, expected] : cases) {
    const Result<Tape> tape = read_tape(join(chain_lines({kStart, step_line(1), line})));
    ASSERT_FALSE(tape.ok()) << line;
    EXPECT_TRUE(tape.error().starts_with(expected)) << tape.error();
  }
  const Result<Tape> behind = read_tape(join(chain_lines({kStart, kEnd, kStop})));
  EXPECT_TRUE(behind.error().starts_with("line 3: stands behind the closing line"))
      << behind.error();
}

TEST(Tape, AnotherFormatIsNamed) {
  const auto error_of = [](const std::string& start) {
    return read_tape(join(chain_lines({start}))).error();
  };
  EXPECT_EQ(error_of(R"({"event":"start","tape_format":3})"),
            "line 1: tape_format 3 is not known here, formats 1 and 2 are; use the version of the "
            "program that wrote it");
  EXPECT_TRUE(error_of(R"({"event":"start","tape_format":1})").starts_with("line 1: is chained"));
  EXPECT_TRUE(error_of(R"({"event":"start"})").starts_with("line 1: does not say"));
  EXPECT_TRUE(error_of(step_line(1)).starts_with("line 1: is no start"));
}

TEST(Tape, StepsThatAreNotToldAreAGap) {
  const Result<Tape> tape = read_tape(
      join(chain_lines({kStart, step_line(2), kStart, step_line(3), step_line(7),
                        R"({"event":"stop","reason":"max_steps","step":8,"averaging":"none"})"})));
  ASSERT_TRUE(tape.ok()) << tape.error();
  EXPECT_EQ(tape.value().gaps, (std::vector<std::string>{"step 1 is missing before line 2",
                                                         "steps 4 to 6 are missing before line 5",
                                                         "step 8 is missing before line 6"}));
}

// Of a record that was committed before lines were chained.
TEST(Tape, FormatOneIsReadAndNamed) {
  const std::filesystem::path folder = "records/cpu_10min_1mb/2026-11-22_legal_gains/web_seed42";
  const Result<Tape> tape = read_tape(read_text_file(folder / "tape.jsonl"));
  ASSERT_TRUE(tape.ok()) << tape.error();
  EXPECT_EQ(tape.value().format, 1);
  EXPECT_EQ(tape.value().steps.size(), 2403u);
  const ProbeResult probe = probe_tape(folder, {});
  EXPECT_EQ(probe.verdict, Verdict::kNotRun);
  EXPECT_TRUE(probe.reason.starts_with("tape.jsonl is of tape_format 1: ")) << probe.reason;
}

TEST(Tape, TheCommittedRecordIsWhatItsTapeBinds) {
  const std::filesystem::path folder = "records/cpu_10min_1mb/2026-11-26_exact_gains/web_seed42";
  const Result<Tape> tape = read_tape(read_text_file(folder / "tape.jsonl"));
  ASSERT_TRUE(tape.ok()) << tape.error();
  EXPECT_EQ(tape.value().steps.size(), 3503u);
  const ProbeResult probe = probe_tape(folder, sha256(read_file(folder / "final_model.int6.bin")));
  EXPECT_EQ(probe.verdict, Verdict::kPass) << probe.reason;
}

TEST(RewoundTape, GoesOnFromAnyKill) {
  const std::string text = join(small_tape());
  for (size_t size = 0; size <= text.size(); ++size) {
    const std::string_view cut = std::string_view(text).substr(0, size);
    for (const int64_t steps : {1, 2, 3, 4}) {
      RewoundTape tape = rewind_tape(cut, steps);
      ASSERT_TRUE(cut.starts_with(tape.text)) << "what stays is as it was";
      EXPECT_LE(tape.last_step, steps);
      if (tape.text.empty()) continue;
      tape.text += tape.chain.link(step_line(steps + 1)) + '\n';
      const Result<Tape> read = read_tape(tape.text);
      ASSERT_TRUE(read.ok()) << read.error();
      EXPECT_EQ(read.value().steps.size(), static_cast<size_t>(tape.last_step) + 1);
      EXPECT_EQ(read.value().gaps.empty(), tape.last_step == steps);
    }
  }
}

TEST(RewoundTape, EndsBeforeALineThatWasChanged) {
  std::vector<std::string> lines = small_tape();
  lines[2][10] = 'x';
  EXPECT_EQ(rewind_tape(join(lines), 3).text, lines[0] + '\n' + lines[1] + '\n');
  EXPECT_EQ(
      rewind_tape("{\"event\":\"start\",\"tape_format\":1}\n{\"step\":1,\"next_window\":2}\n", 3)
          .text,
      "");
}

}  // namespace
}  // namespace pg
