// Bytes, clocks, hardware.
#include <fmt/format.h>

#include "tests/verify/verify_fixture.h"

namespace pg {
namespace {

using SizeRules = VerifyTest;
using ClockRules = VerifyTest;

TEST_F(SizeRules, TotalOverTheCap) {
  write_logs([](LogWords& w) { w.total_bytes = 16000001; });
  EXPECT_EQ(find("size_over_cap"), "reject");
  write_logs([](LogWords& w) { w.total_bytes = 16000000; });
  EXPECT_EQ(find("size_over_cap"), "");  // nor the 105 MB of weights that are not packed
}

TEST_F(SizeRules, WeightsThatAreNotPackedAreNoTotal) {
  append("train_seed42.log",
         "Serialized model: 67224983 bytes\nTotal submission size: 67272742 bytes\n");
  EXPECT_EQ(find("size_over_cap"), "");
  append("train_seed42.log", "Total submission size: 17272742 bytes\n");
  EXPECT_EQ(find("size_over_cap"), "reject");
}

TEST_F(SizeRules, PackedCodeMayBringItUnder) {
  write_logs([](LogWords& w) { w.total_bytes = 16020000; });
  write("train_gpt.py", std::string(29000, '#'));
  EXPECT_EQ(find("size_over_cap"), "warn");
  write("train_gpt.py", std::string(30001, '#'));
  EXPECT_EQ(find("size_over_cap"), "reject");
}

TEST_F(SizeRules, ShippedCodeIsLarger) {
  write("train_gpt.py", std::string(150000, '#'));
  EXPECT_EQ(find("size_shipped_over_cap"), "");
  write("train_gpt.py", std::string(150001, '#'));
  EXPECT_EQ(find("size_shipped_over_cap"), "note");
  EXPECT_EQ(find("code_size_differs"), "note");
}

TEST_F(SizeRules, CodeOfTheLoggedSize) {
  write("train_gpt.py", std::string(50002, '#'));  // a line break more
  EXPECT_EQ(find("code_size_differs"), "");
  write("train_gpt.py", std::string(50003, '#'));
  EXPECT_EQ(find("code_size_differs"), "note");
  write("packed.py", std::string(50000, '#'));
  EXPECT_EQ(find("code_size_differs"), "");
}

TEST_F(SizeRules, StatedSize) {
  set("bytes_total", "16000001");
  EXPECT_EQ(find("size_stated_over_cap"), "reject");
  set("bytes_total", "15911000");
  EXPECT_EQ(find("size_stated_over_cap"), "");
  EXPECT_EQ(find("size_mismatch"), "warn");
  set("bytes_total", "15909000");
  EXPECT_EQ(find("size_mismatch"), "");
  for (const char* bad : {"\"15900000\"", "0", "-5", "199999", "[15900000]"}) {
    set("bytes_total", bad);
    EXPECT_EQ(find("size_bad_value"), "warn") << bad;
  }
  set("bytes_total", "15900000");
  EXPECT_EQ(find("size_bad_value"), "");
}

TEST_F(SizeRules, MebibytesForMegabytes) {
  append("README.md", "Budget: 16,777,216 bytes (16MB)\n");
  EXPECT_EQ(find("size_unit"), "warn");
  write("README.md", "# x\nUnder 16,000,000 bytes (not 16 MiB).\n");
  EXPECT_EQ(find("size_unit"), "");
  set("target_bytes", "16777216");
  EXPECT_EQ(find("size_unit"), "warn");
}

TEST_F(SizeRules, BytesOfOneSeed) {
  set("seed_results", "{\"42\": {\"val_bpb\": 1.1193, \"artifact_bytes\": 15890000}}");
  EXPECT_EQ(find("seed_bytes_mismatch"), "note");
  set("seed_results", "{\"42\": {\"val_bpb\": 1.1193, \"artifact_bytes\": 15900000}}");
  EXPECT_EQ(find("seed_bytes_mismatch"), "");
}

TEST_F(ClockRules, TrainingTime) {
  const auto with = [&](int64_t stop_ms) { write_logs([&](LogWords& w) { w.stop_ms = stop_ms; }); };
  with(600000);
  EXPECT_EQ(find("train_overrun_small"), "");
  with(600001);
  EXPECT_EQ(find("train_overrun_small"), "note");
  EXPECT_EQ(find("train_over_600"), "");
  with(601001);
  EXPECT_EQ(find("train_over_600"), "warn");
  EXPECT_EQ(find("train_overrun_small"), "");
  with(603001);
  EXPECT_EQ(find("train_over_600"), "reject");
  set("track", "\"non_record_16mb\"");  // the path still says that it is one
  EXPECT_EQ(find("train_over_600"), "reject");
}

TEST_F(ClockRules, WithdrawnLogIsANote) {
  LogWords words;
  words.stop_ms = 700000;
  words.seed = std::string("7");
  write_log(words);
  EXPECT_EQ(find("train_over_600"), "reject");
  append("README.md", "`train_seed7.log` is superseded and kept for reference only.\n");
  EXPECT_EQ(find("train_over_600"), "note");
}

TEST_F(ClockRules, EvaluationTime) {
  const auto with = [&](double eval_s) { write_logs([&](LogWords& w) { w.eval_s = eval_s; }); };
  with(600);
  EXPECT_EQ(find("eval_over_600"), "");
  with(600.5);
  EXPECT_EQ(find("eval_over_600"), "reject");
  with(120);
  append("train_seed42.log", "total_eval_time:605.5s\n");
  EXPECT_EQ(find("eval_over_600"), "reject");
  with(120);
  append("train_seed42.log", "ttt_eval_time_ms=700000\n");
  EXPECT_EQ(find("eval_over_600"), "reject");
  with(120);
  append("train_seed42.log", "wallclock:post_gptq total_elapsed:858.2s\n");  // no evaluation's
  EXPECT_EQ(find("eval_over_600"), "");
}

TEST_F(ClockRules, SlowDiagnosisIsANote) {
  write_logs([](LogWords& w) {
    w.before_final = "DIAGNOSTIC post_ema val_loss:1.9 val_bpb:1.1300 eval_time:847000ms\n";
  });
  EXPECT_EQ(find("eval_over_600"), "note");
  write_logs([](LogWords& w) {
    w.eval_s = 700;
    w.world_size = 4;
  });
  EXPECT_EQ(find("eval_over_600"), "note");
}

TEST_F(ClockRules, Hardware) {
  EXPECT_EQ(find("not_8_gpus"), "");
  write_logs([](LogWords& w) { w.world_size = 4; });
  EXPECT_EQ(find("not_8_gpus"), "warn");
}

}  // namespace
}  // namespace pg
