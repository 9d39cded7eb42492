// The log's lines are read by other people's tools: each is compared with the text the public
// scripts print.
#include "harness/record/run_log.h"

#include <gtest/gtest.h>

#include "harness/record/score_name.h"
#include "src/base/error.h"
#include "tests/harness/run_fixture.h"

namespace pg {
namespace {

constexpr int64_t kParams = 17059912;

// Drives a log as a short run would and gives the lines below the second rule of equal signs.
std::string write_golden_log(const std::filesystem::path& path) {
  Recipe recipe;
  recipe.train.seed = 7;
  ManualClock clock;
  const RunFolder folder = open_run_folder(path, recipe, false);
  std::FILE* sink = std::tmpfile();
  {
    RunLog log(recipe, folder, clock, 0.0, ProgressLine(sink, TerminalStyle::kPlain, false));
    RunFacts facts;
    facts.params = kParams;
    facts.train_shards = 2;
    facts.val_tokens = 62021846;
    log.write_head(facts, {{"MATRIX_LR", "optimizer.matrix_lr", "0.02"}});
    clock.advance_s(1.5);
    log.on_step(make_step(1, 0.0829, 6.9357));
    log.on_step(make_step(500, 41.45, 2.39921));
    log.on_validation(500, 41.45, 2.05771, 1.21868);
    log.on_note("ema:applying EMA weights");
    TrainResult trained;
    trained.steps = 500;
    trained.train_s = 41.45;
    trained.stop_reason = StopReason::kInterrupted;
    log.write_trained(trained);
    log.write_pre_quant(
        {.diagnostic_loss_nats = 2.05, .diagnostic_bits_per_byte = 1.2141, .eval_s = 12.3456});
    log.write_packed({.model_bytes = 15000000,
                      .code_bytes = 50000,
                      .total_bytes = 15050000,
                      .cap_bytes = 16000000});
    log.write_roundtrip(make_score_line(2.0612345678, 1.2207654321, 12));
    log.write_final(make_score_line(2.0312345678, 1.2007654321, 73.9), make_coded_part());
    const RunResult& result = log.finish({}, "2026-11-22");
    EXPECT_DOUBLE_EQ(result.times.first_step_s, 1.5);
    EXPECT_EQ(result.curve.train.size(), 2u);
  }
  std::fclose(sink);
  const std::string text = read_text_file(folder.log());
  const std::string rule(100, '=');
  const size_t second = text.find(rule, text.find(rule) + 1);
  return text.substr(second + rule.size() + 1);
}

TEST(RunLog, LinesAreThoseOfThePublicScripts) {
  const TemporaryFolder folder;
  std::string log = write_golden_log(folder.path());
  const size_t memory = log.find("peak memory");  // of this process: not golden
  ASSERT_NE(memory, std::string::npos);
  log.erase(memory, log.find('\n', memory) + 1 - memory);
  EXPECT_EQ(log,
            "recipe:override optimizer.matrix_lr=0.02 source:MATRIX_LR\n"
            "recipe:keys train.seed=7\n"
            "val_bpb:enabled tokenizer_kind=sentencepiece tokenizer_path=\n"
            "train_loader:dataset: train_shards:2\n"
            "val_loader:shards pattern= tokens:62021845\n"
            "model_params:17059912\n"
            "XSA:last_4\n"
            "world_size:1 grad_accum_steps:96\n"
            "attention_mode:gqa num_heads:8 num_kv_heads:4\n"
            "tie_embeddings:True embed_lr:0.035 matrix_lr:0.025 scalar_lr:0.025\n"
            "train_batch_tokens:786432 train_seq_len:2048 iterations:20000 warmup_steps:0 "
            "max_wallclock_seconds:600.000\n"
            "seed:7\n"
            "step:1/20000 train_loss:6.9357 train_time:83ms step_avg:82.90ms\n"
            "step:500/20000 train_loss:2.3992 train_time:41450ms step_avg:82.90ms\n"
            "step:500/20000 val_loss:2.0577 val_bpb:1.2187 train_time:41450ms step_avg:82.90ms\n"
            "ema:applying EMA weights\n"
            "stopping_early: interrupted train_time:41450ms step:500/20000\n"
            "DIAGNOSTIC post_ema val_loss:2.0500 val_bpb:1.2141 eval_time:12346ms\n"
            "Serialized model: 68239648 bytes\n"
            "Code size: 50000 bytes\n"
            "Total submission size: 68289648 bytes\n"
            "Serialized model int6+rans: 15000000 bytes\n"
            "Total submission size int6+rans: 15050000 bytes\n"
            "final_int6_roundtrip val_loss:2.0612 val_bpb:1.2208 eval_time:12000ms\n"
            "final_int6_roundtrip_exact val_loss:2.06123457 val_bpb:1.22076543\n"
            "final_int6_sliding_window val_loss:2.0312 val_bpb:1.2008 stride:64 eval_time:73900ms\n"
            "final_int6_sliding_window_exact val_loss:2.03123457 val_bpb:1.20076543\n"
            "final_int8_zlib_roundtrip_exact val_loss:2.03123457 val_bpb:1.20076543\n"
            "coded_exact tokens:1000 text_bytes:2500 payload_bytes:400 file_bytes:500 "
            "val_bpb:1.28000000 metered_bpb:1.27980000\n");
}

// What is learnt or mixed while scoring never stands under a plain score's name.
TEST(RunLog, ALearntOrMixedScoreHasItsOwnName) {
  const auto name = [](TttKind ttt, MixKind mix) {
    Recipe recipe;
    recipe.ttt.kind = ttt;
    recipe.mix.kind = mix;
    return name_score(recipe).line;
  };
  EXPECT_EQ(name(TttKind::kNone, MixKind::kNone), "final_int6_sliding_window");
  EXPECT_EQ(name(TttKind::kNone, MixKind::kTilt), "legal_ngram_mix");
  for (const TttKind ttt :
       {TttKind::kSgd, TttKind::kPhased, TttKind::kLora, TttKind::kPhasedLora}) {
    EXPECT_EQ(name(ttt, MixKind::kNone), "legal_ttt");
    EXPECT_EQ(name(ttt, MixKind::kLogit), "legal_ttt_ngram_mix");
  }
  const TemporaryFolder folder;
  Recipe recipe;
  recipe.ttt.kind = TttKind::kLora;
  ManualClock clock;
  std::FILE* sink = std::tmpfile();
  {
    RunLog log(recipe, open_run_folder(folder.path(), recipe, false), clock, 0,
               ProgressLine(sink, TerminalStyle::kPlain, false));
    ScoreLine plain, learnt;
    plain.loss_nats = 2.5;
    learnt.loss_nats = 2.25;
    log.write_roundtrip(plain);
    log.write_final(learnt, make_coded_part());
  }
  std::fclose(sink);
  const std::string log = read_text_file(folder.path() / "train_seed1337.log");
  EXPECT_NE(log.find("\nlegal_ttt_exact val_loss:2.25000000 "), std::string::npos) << log;
  EXPECT_NE(log.find("\nfinal_int8_zlib_roundtrip_exact val_loss:2.50000000 "), std::string::npos);
  EXPECT_EQ(log.find("sliding_window"), std::string::npos);
}

// A clock that moves by another time in each stage: every lap lands in its own field, with what it
// was given.
TEST(RunLog, EachStageEndsItsOwnLapAndKeepsItsResult) {
  const TemporaryFolder temporary;
  Recipe recipe;
  ManualClock clock;
  clock.advance_s(1000);
  const RunFolder folder = open_run_folder(temporary.path(), recipe, false);
  std::FILE* sink = std::tmpfile();
  RunResult result;
  {
    RunLog log(recipe, folder, clock, 1000.0, ProgressLine(sink, TerminalStyle::kPlain, false));
    RunFacts facts;
    facts.params = kParams;
    log.write_head(facts, {});
    clock.advance_s(2);
    log.on_step(make_step(1, 0.5, 3));
    clock.advance_s(500);  // training counts by the trainer's own time
    TrainResult trained;
    trained.steps = 12;
    trained.tokens = 3456;
    trained.train_s = 77;
    trained.stop_reason = StopReason::kWallclock;
    trained.averaging = "ema 0.5";
    log.write_trained(trained);
    clock.advance_s(1);
    DiagnosticLoss loss;
    loss.diagnostic_loss_nats = 2.5;
    log.write_pre_quant(loss);
    clock.advance_s(4);
    log.note_calibrated();
    clock.advance_s(16);
    log.write_allocation(std::vector<TensorAllocation>(1));
    clock.advance_s(32);
    PackSummary pack;
    pack.total_bytes = 950000;
    log.write_packed(pack);
    clock.advance_s(64);
    log.write_roundtrip(make_score_line(2.4, 1.2, 7));
    clock.advance_s(128);
    log.write_final(make_score_line(2.3, 1.1, 8), make_coded_part());
    clock.advance_s(256);
    result = log.finish({0xab}, "2026-11-22");
  }
  std::fclose(sink);
  EXPECT_EQ(result.times.first_step_s, 2);
  EXPECT_EQ(result.times.train_s, 77);
  EXPECT_EQ(result.times.diagnose_s, 1 + 64);
  EXPECT_EQ(result.times.calibrate_s, 4);
  EXPECT_EQ(result.times.quantize_s, 16);
  EXPECT_EQ(result.times.pack_s, 32);
  EXPECT_EQ(result.times.eval_s, 128);
  EXPECT_EQ(result.times.total_s, 2 + 500 + 1 + 4 + 16 + 32 + 64 + 128 + 256);
  EXPECT_EQ(result.facts.params, kParams);
  EXPECT_EQ(result.steps, 12);
  EXPECT_EQ(result.tokens, 3456);
  EXPECT_EQ(result.stop_reason, StopReason::kWallclock);
  EXPECT_EQ(result.averaging, "ema 0.5");
  EXPECT_EQ(result.pre_quant.diagnostic_loss_nats, 2.5);
  ASSERT_EQ(result.allocation.size(), 1u);
  EXPECT_EQ(result.pack.total_bytes, 950000);
  EXPECT_EQ(result.roundtrip.loss_nats, 2.4);
  EXPECT_EQ(result.score.loss_nats, 2.3);
  EXPECT_EQ(result.date, "2026-11-22");
  EXPECT_TRUE(result.artifact_sha256.starts_with("ab00"));
  EXPECT_EQ(result.artifact_name, "final_model.int6.bin");
}

TEST(RunLog, AScoreOverItsBudgetIsWarnedOf) {
  const TemporaryFolder temporary;
  for (const double budget_s : {0.0, 8.0, 7.9}) {
    const RunFolder folder = open_run_folder(temporary.path(), Recipe(), true);
    ManualClock clock;
    std::FILE* sink = std::tmpfile();
    {
      RunLog log(Recipe(), folder, clock, 0.0, ProgressLine(sink, TerminalStyle::kPlain, false));
      log.write_head(RunFacts(), {});
      ScoreLine score = make_score_line(2.3, 1.1, 8);
      score.budget_s = budget_s;
      log.write_final(score, make_coded_part());
    }
    std::fclose(sink);
    const std::string text = read_text_file(folder.log());
    EXPECT_EQ(text.find("warning: evaluation took 8.0 s of 7.9 s") != std::string::npos,
              budget_s == 7.9)
        << text;
    EXPECT_EQ(text.find("warning:") != std::string::npos, budget_s == 7.9) << text;
  }
}

// One that is 1 is left out, so that a tape without it stays as it was.
TEST(RunLog, TapeHoldsTheWeightDecaysMultiplier) {
  for (const double multiplier : {1.0, 0.75}) {
    const TemporaryFolder temporary;
    const RunFolder folder = open_run_folder(temporary.path(), Recipe(), true);
    ManualClock clock;
    std::FILE* sink = std::tmpfile();
    {
      RunLog log(Recipe(), folder, clock, 0.0, ProgressLine(sink, TerminalStyle::kPlain, false));
      log.write_head(RunFacts(), {});
      StepReport report;
      report.step = 1;
      report.decay_multiplier = multiplier;
      log.on_step(report);
    }
    std::fclose(sink);
    const std::string tape = read_text_file(temporary.path() / "tape.jsonl");
    EXPECT_EQ(tape.find("\"decay_multiplier\":0.75") != std::string::npos, multiplier != 1.0);
    EXPECT_EQ(tape.find("decay_multiplier") != std::string::npos, multiplier != 1.0);
  }
}

TEST(RunLog, TapeHoldsTheDecisionsOfEachStep) {
  const TemporaryFolder folder;
  write_golden_log(folder.path());
  const std::string tape = read_text_file(folder.path() / "tape.jsonl");
  EXPECT_NE(tape.find("\"tape_format\":2"), std::string::npos);
  EXPECT_NE(
      tape.find("{\"step\":500,\"train_s\":41.45,\"step_s\":0.0834,\"decided_s\":0.0,\"end_s\":0.0,"
                "\"lr_multiplier\":1.0,\"next_window\":192000,\"loss_nats\":2.39921,\"chain\":\""),
      std::string::npos);
  EXPECT_NE(tape.find("{\"event\":\"stop\",\"reason\":\"interrupted\",\"step\":500,"),
            std::string::npos);
}

TEST(RunLog, CurveIsReadBackAndRewound) {
  const TemporaryFolder folder;
  write_golden_log(folder.path());
  LossCurve curve = load_loss_curve(folder.path() / "run.jsonl");
  ASSERT_EQ(curve.train.size(), 2u);
  EXPECT_EQ(curve.train[1].step, 500);
  EXPECT_EQ(curve.train[1].loss_nats, 2.39921);
  ASSERT_EQ(curve.validation.size(), 1u);
  EXPECT_EQ(curve.validation[0].bits_per_byte, 1.21868);
  curve.rewind(500);
  EXPECT_EQ(curve.train.size(), 1u);
  EXPECT_TRUE(curve.validation.empty());
}

TEST(RunLog, FullDiskIsReportedOnceAndDoesNotThrow) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  int reports = 0;
  AppendFile file("/dev/full", true, [&](const std::string& message) {
    ++reports;
    EXPECT_NE(message.find("the run goes on without it"), std::string::npos);
  });
  for (int i = 0; i < 3; ++i) file.write_line("x");
  EXPECT_EQ(reports, 1);
}

TEST(RunLog, ACheckpointThatFailsAgainIsShownOnce) {
  const TemporaryFolder temporary;
  const RunFolder folder = open_run_folder(temporary.path(), Recipe(), false);
  ManualClock clock;
  std::FILE* sink = std::tmpfile();
  {
    RunLog log(Recipe(), folder, clock, 0.0, ProgressLine(sink, TerminalStyle::kPlain, false));
    for (const char* note : {"checkpoint:failed step:1", "checkpoint:failed step:2", "other"}) {
      log.on_note(note);
    }
  }
  std::rewind(sink);
  char shown[100] = {};
  const size_t size = std::fread(shown, 1, sizeof shown - 1, sink);
  std::fclose(sink);
  EXPECT_EQ(std::string(shown, size), "checkpoint:failed step:1\nother\n");
  EXPECT_NE(read_text_file(folder.log()).find("checkpoint:failed step:2"), std::string::npos);
}

TEST(RunLog, ARemovedLogIsReportedOnce) {
  const TemporaryFolder temporary;
  int reports = 0;
  AppendFile file(temporary.path() / "log", false, [&](const std::string&) { ++reports; });
  file.write_line("a");
  file.check_kept();
  EXPECT_EQ(reports, 0);
  EXPECT_EQ(file.size_bytes(), 2);
  std::filesystem::remove(temporary.path() / "log");
  for (int i = 0; i < 3; ++i) {
    file.write_line("b");
    file.check_kept();
  }
  EXPECT_EQ(reports, 1);
  EXPECT_EQ(file.size_bytes(), 0);
}

// The log of a run whose projections are `projected_bytes`, one a step.
std::string log_of_projections(const std::filesystem::path& path, int64_t cap_bytes,
                               const std::vector<int64_t>& projected_bytes) {
  Recipe recipe;
  recipe.quant.cap_bytes = cap_bytes;
  ManualClock clock;
  const RunFolder folder = open_run_folder(path, recipe, true);
  std::FILE* sink = std::tmpfile();
  RunLog log(recipe, folder, clock, 0.0, ProgressLine(sink, TerminalStyle::kPlain, false));
  log.write_head(RunFacts(), {});
  for (size_t i = 0; i < projected_bytes.size(); ++i) {
    StepReport report = make_step(static_cast<int64_t>(i) + 1, 0.1, 2.0);
    report.projected_bytes = projected_bytes[i];
    log.on_step(report);
  }
  std::fclose(sink);
  return read_text_file(folder.log());
}

TEST(RunLog, AProjectionOverTheCapIsWarnedOfOnce) {
  const TemporaryFolder folder;
  const std::string over = log_of_projections(folder.path(), 900000, {0, 912345, 950000});
  const std::string warning =
      "warning: the artifact would take 912,345 bytes, 12,345 over the cap of 900,000, projected "
      "from the weights by step 2; ";
  ASSERT_NE(over.find(warning), std::string::npos) << over;
  EXPECT_EQ(over.find("warning:", over.find(warning) + 1), std::string::npos) << over;
  const std::string fitting = log_of_projections(folder.path(), 900000, {0, 900000, 899999});
  EXPECT_EQ(fitting.find("warning:"), std::string::npos) << fitting;
}

// Steps of 83.4 ms for 16,384 tokens are 1.7 us a token forwards; a window of 2,048 every 64 tokens.
TEST(RunLog, AScoreThatWillNotFitItsBudgetIsWarnedOfAfterAFewSteps) {
  const auto log_with = [](int64_t val_tokens, double budget_s, int64_t steps) {
    const TemporaryFolder folder;
    Recipe recipe;
    recipe.train.batch_tokens = 16384;
    recipe.train.micro_batch_tokens = 16384;
    recipe.eval.wallclock_s = budget_s;
    ManualClock clock;
    const RunFolder opened = open_run_folder(folder.path(), recipe, true);
    std::FILE* sink = std::tmpfile();
    RunLog log(recipe, opened, clock, 0.0, ProgressLine(sink, TerminalStyle::kPlain, false));
    RunFacts facts;
    facts.val_tokens = val_tokens;
    log.write_head(facts, {});
    for (int64_t step = 1; step <= steps; ++step) log.on_step(make_step(step, 0.1, 2.0));
    std::fclose(sink);
    return read_text_file(opened.log());
  };
  const std::string over = log_with(2'000'001, 60, 9);
  const std::string warning = "warning: scoring will take about 109 s of 60 s, ";
  ASSERT_NE(over.find(warning), std::string::npos) << over;
  EXPECT_EQ(over.find("scoring will take"), over.rfind("scoring will take"));
  EXPECT_EQ(log_with(2'000'001, 60, 3).find("scoring will take"), std::string::npos);
  EXPECT_NE(log_with(2'000'001, 0, 9).find("\neval_estimate:109s "), std::string::npos);
  EXPECT_EQ(log_with(1'000'001, 60, 9).find("eval_estimate"), std::string::npos);
}

// Where max_steps come before the clock, or there is no clock, the steps are what to watch.
TEST(ProgressLine, StepsAreCountedUpToWhatEndsTheTraining) {
  StepReport report = make_step(120, 10, 2.0);
  EXPECT_TRUE(format_progress(report, 200).starts_with("step 120/200  83.4 ms"));
  report.time_left_s = 0;
  EXPECT_TRUE(format_progress(report, 20000).starts_with("step 120/20000  83.4 ms"));
}

TEST(ProgressLine, TerminalLineIsRewrittenAndOthersAreNot) {
  EXPECT_EQ(format_progress(make_step(120, 10, 2.1934), 20000),
            "step 120  9% of 113 s  83.4 ms  98.3k tok/s  loss 2.1934  lr x1.00  41% of peak  103 "
            "s left  "
            "~912,345 B");
  for (const TerminalStyle style : {TerminalStyle::kPlain, TerminalStyle::kRewrite}) {
    std::FILE* file = std::tmpfile();
    {
      ProgressLine line(file, style, false);
      line.show("a", false);
      line.show("b", true);
      line.print("c");
    }
    std::rewind(file);
    char text[64] = {};
    const size_t size = std::fread(text, 1, sizeof text - 1, file);
    std::fclose(file);
    EXPECT_EQ(std::string(text, size),
              style == TerminalStyle::kPlain ? "b\nc\n" : "\ra\x1b[K\rb\x1b[K\r\x1b[Kc\n");
  }
}

TEST(ProgressLine, WithoutATerminalNobodyWaitsLongForALine) {
  std::FILE* file = std::tmpfile();
  {
    auto owned = std::make_unique<ManualClock>();
    ManualClock& clock = *owned;
    ProgressLine line(file, TerminalStyle::kPlain, false, std::move(owned));
    for (int second = 0; second <= 12; ++second) {
      line.show(std::to_string(second), /*is_logged=*/second == 7);
      clock.advance_s(1);
    }
  }
  std::rewind(file);
  char text[64] = {};
  const size_t size = std::fread(text, 1, sizeof text - 1, file);
  std::fclose(file);
  EXPECT_EQ(std::string(text, size), "5\n7\n12\n");
}

TEST(RunLog, TrainingOverItsBudgetIsWarnedOfWithWhatWasKeptFree) {
  for (const double limit_s : {0.0, 0.25}) {
    for (const double calibrate_s : {0.25, 0.5}) {
      const TemporaryFolder temporary(std::to_string(limit_s) + std::to_string(calibrate_s));
      Recipe recipe;
      recipe.train.wallclock_s = 3;
      recipe.train.reserve_s = limit_s;
      ManualClock clock;
      const RunFolder folder = open_run_folder(temporary.path(), recipe, false);
      std::FILE* sink = std::tmpfile();
      {
        RunLog log(recipe, folder, clock, 0.0, ProgressLine(sink, TerminalStyle::kPlain, false));
        TrainResult trained;
        trained.train_s = 2.75;
        trained.reserve_s = 0.25;
        log.write_trained(trained);
        clock.advance_s(calibrate_s);
        log.note_calibrated();
      }
      std::fclose(sink);
      const bool is_over = calibrate_s > 0.25;
      const std::string advice = limit_s > 0
                                     ? "train.reserve_s, 0.25, allowed no more: leave it out"
                                     : "something slowed the machine down";
      for (const auto& file : {folder.log(), folder.events()}) {
        const std::string text = read_text_file(file);
        const std::string figures =
            "training took 2.750 s and calibration 0.500 s, for which 0.250 s were kept free: more";
        EXPECT_EQ(text.find(figures) != std::string::npos, is_over) << text;
        EXPECT_EQ(text.find(advice) != std::string::npos, is_over) << text;
      }
    }
  }
}

}  // namespace
}  // namespace pg
