// One line of each kind in each dialect, as the trainers print them.
#include "harness/verify/log_dialects.h"

#include <gtest/gtest.h>

#include <cmath>

#include "harness/verify/log_reader.h"
#include "harness/verify/text_scan.h"

namespace pg {
namespace {

TEST(LogDialects, StepsOfEveryTrainer) {
  for (const char* line :
       {"step:500/20000 train_loss:2.3992 train_time:41450ms step_avg:82.90ms",
        "500/20000 train_loss: 2.3992 train_time: 0.7m tok/s: 9434000",
        "s:500/20000 tl:2.3992 tt:41450ms sa:82.90ms",
        "step   500/9999 | loss 2.3992 | lr_mul 1.0000 | 131s",
        "1776142723.115 500/20000 train_loss: 2.3992 train_time: 0.7m tok/s: 9434000",
        "step=500 mean_microbatch_loss=2.3992 learning_rate_multiplier=1.0"}) {
    const LogFacts facts = read_log_text(line);
    EXPECT_EQ(facts.step_lines, 1) << line;
    EXPECT_EQ(facts.last_step, 500) << line;
    ASSERT_EQ(facts.late_losses_nats.size(), 1u) << line;
    EXPECT_DOUBLE_EQ(facts.late_losses_nats[0], 2.3992) << line;
  }
  for (const char* line : {"steps: 500", "stepping", "500 tokens", "s:tart", "16000/s"}) {
    EXPECT_EQ(read_log_text(line).step_lines, 0) << line;
  }
}

TEST(LogDialects, ScoresOfEveryTrainer) {
  const struct {
    const char* line;
    ScoreKind kind;
    double bits_per_byte;
    const char* label;
  } lines[] = {{"final_int6_roundtrip_exact val_loss:1.61208310 val_bpb:1.18026718",
                ScoreKind::kEvaluation, 1.18026718, "final_int#_roundtrip_exact"},
               {"ttt_sliding:done val_loss=1.930065 val_bpb=1.080087 elapsed=413.4s",
                ScoreKind::kEvaluation, 1.080087, "ttt_sliding:done"},
               {"ttt_x vl:0.73961404 bpb:0.43804165", ScoreKind::kEvaluation, 0.43804165, "ttt_x"},
               {"Quantized BPB (no XSA): 1.027163", ScoreKind::kEvaluation, 1.027163, "quantized"},
               {"FineWeb BPB : 0.8339  (stride=64)", ScoreKind::kEvaluation, 0.8339, "fineweb"},
               {"pre-quantization post-ema val_loss:2.80799077 val_bpb:1.08706073 eval_time:1983ms",
                ScoreKind::kPrequant, 1.08706073, "pre-quantization post-ema"},
               {"DIAGNOSTIC post_ema val_loss:1.5677 val_bpb:1.1478 eval_time:3541ms",
                ScoreKind::kPrequant, 1.1478, "diagnostic post_ema"},
               {"  EMA BPB:       1.017970", ScoreKind::kPrequant, 1.017970, "ema"},
               {"step:4000/20000 val_loss:2.0577 val_bpb:1.2187 train_time:333519ms",
                ScoreKind::kStep, 1.2187, "step:#/#"},
               {"1776144163.319 quantized_ttt_phased val_loss:2.77232000 val_bpb:1.07325147 "
                "eval_time:504949ms",
                ScoreKind::kEvaluation, 1.07325147, "quantized_ttt_phased"}};
  for (const auto& expected : lines) {
    const LogFacts facts = read_log_text(expected.line);
    ASSERT_EQ(facts.scores.size(), 1u) << expected.line;
    EXPECT_EQ(facts.scores[0].kind, expected.kind) << expected.line;
    EXPECT_DOUBLE_EQ(facts.scores[0].bits_per_byte, expected.bits_per_byte) << expected.line;
    EXPECT_TRUE(std::string_view(facts.scores[0].label).starts_with(expected.label))
        << facts.scores[0].label;
  }
}

TEST(LogDialects, WhatIsNoScore) {
  for (const char* line : {"val_bpb:enabled tokenizer_kind=sentencepiece",
                           "  ttt_chunk [1/1863] bpb=1.111535 time=0.5s",
                           "quant_gap: 0.013429 BPB (pre:1.158806 post:1.172234)",
                           "BEST BASELINE baseline_bpb: 1.2244", "delta_bpb: -0.01",
                           "prequant_ttt:epoch 1/21 val_bpb=1.083244 lr=0.000500", "bpb"}) {
    EXPECT_TRUE(read_log_text(line).scores.empty()) << line;
  }
}

TEST(LogDialects, LossGoesWithItsOwnScore) {
  const LogFacts facts = read_log_text(
      "step:7104/20000 val_loss:0.8522 val_bpb:1.2295 sliding_loss:0.8416 sliding_bpb:1.2142");
  ASSERT_EQ(facts.scores.size(), 2u);
  EXPECT_DOUBLE_EQ(facts.scores[0].loss_nats.value_or(0), 0.8522);
  EXPECT_DOUBLE_EQ(facts.scores[1].loss_nats.value_or(0), 0.8416);
}

TEST(LogDialects, SizesOfEveryTrainer) {
  for (const char* line :
       {"Total submission size int6+lzma: 15912981 bytes",
        "Total submission size: 15912981 bytes = 15.91MB", "Artifact: 15,912,981 bytes (15.18 MB)",
        "Artifact size:      15,912,981 bytes", "total:15912981B",
        "total_submission_bytes:15912981", "- Total submission: 15,912,981 bytes (15.9 MB)",
        "Total artifact:    15,912,981 bytes (including code)",
        "size_check total_submission=15912981 limit=16000000"}) {
    const LogFacts facts = read_log_text(line);
    ASSERT_EQ(facts.totals.size(), 1u) << line;
    EXPECT_EQ(facts.totals[0].bytes, 15912981) << line;
  }
  for (const char* line :
       {"total_size:  12.75 MB", "Total params: 33,862,953", "total: 546,879 docs",
        "artifact_dir: /x/15912981", "model_params:26829913 estimated_artifact:15.60MB OK"}) {
    EXPECT_TRUE(read_log_text(line).totals.empty()) << line;
  }
}

TEST(LogDialects, SeedsStopsAndHardware) {
  const LogFacts facts = read_log_text(
      "seed:1337\nSeed: 42, Max steps: 9999\nseed = 582\n\"seeds\": [1, 2]\nworld_size: 8\nWorld "
      "size: 4, Grad accum: 1\n"
      "stopping_early: wallclock_cap train_time: 590082ms step: 5167/20000\nstop tt:600069ms "
      "s:7011/20000\n"
      "Validation tokens: 62,021,632\nval_loader:shards pattern=x tokens:9662464\n");
  ASSERT_EQ(facts.seeds.size(), 3u);
  EXPECT_EQ(facts.seeds[2].value, 582);
  ASSERT_EQ(facts.world_sizes.size(), 2u);
  EXPECT_EQ(facts.world_sizes[1].value, 4);
  ASSERT_EQ(facts.stops_ms.size(), 2u);
  EXPECT_EQ(facts.stops_ms[1].value, 600069);
  EXPECT_EQ(facts.stops_ms[1].line, 8);
  ASSERT_EQ(facts.val_tokens.size(), 2u);
  EXPECT_EQ(facts.val_tokens[0].value, 62021632);
}

TEST(LogDialects, NumbersAsTheyAreWritten) {
  EXPECT_DOUBLE_EQ(scan_number(" 15,988,805 bytes", 0)->value, 15988805);
  EXPECT_EQ(scan_number("1.1150", 0)->decimals, 4);
  EXPECT_DOUBLE_EQ(scan_number("-3.5e-07", 0)->value, -3.5e-07);
  EXPECT_DOUBLE_EQ(scan_number("1,23", 0)->value, 1);  // no thousands
  EXPECT_TRUE(std::isnan(scan_number("nan", 0)->value));
  for (const char* none : {"", "x", "-", ".", "nano", "e5"})
    EXPECT_FALSE(scan_number(none, 0)) << none;
}

}  // namespace
}  // namespace pg
