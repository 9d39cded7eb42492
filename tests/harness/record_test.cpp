// Records: the community's keys, deterministic bytes, inert strings.
#include "harness/record/record.h"

#include <gtest/gtest.h>

#include <regex>

#include "harness/command/docs_ops_command.h"
#include "harness/command/run_steps.h"
#include "harness/record/machine.h"
#include "harness/record/report_svg.h"
#include "harness/record/run_files.h"
#include "harness/record/svg_axes.h"
#include "src/base/error.h"
#include "src/files/write_file.h"
#include "tests/harness/run_fixture.h"

namespace pg {
namespace {

TEST(Record, SubmissionHasTheCommunitysKeys) {
  const std::string json = write_submission_json(make_result());
  for (const char* key : {"author",
                          "github_id",
                          "name",
                          "blurb",
                          "date",
                          "track",
                          "val_loss",
                          "val_bpb",
                          "seeds",
                          "seed_results",
                          "pre_quant_val_loss",
                          "pre_quant_val_bpb",
                          "bytes_total",
                          "bytes_code",
                          "bytes_model",
                          "train_steps",
                          "step_avg_ms",
                          "eval_time_s",
                          "hardware",
                          "compliance",
                          "artifact_bytes",
                          "artifact_under_16mb",
                          "train_under_600s",
                          "eval_under_600s"}) {
    EXPECT_NE(json.find(std::string("\"") + key + "\":"), std::string::npos) << key;
  }
  EXPECT_NE(json.find("\"val_bpb\": 1.215"), std::string::npos);
  EXPECT_NE(json.find("\"bytes_total\": 950000"), std::string::npos);
  EXPECT_NE(json.find("\"1337\": {"), std::string::npos);
}

TEST(Record, ComplianceIsComputed) {
  RunResult result = make_result();
  result.times.train_s = result.recipe.train.wallclock_s - 1;
  result.times.calibrate_s = 2;  // reads training text too
  result.pack.total_bytes = result.pack.cap_bytes + 1;
  const std::string json = write_submission_json(result);
  EXPECT_NE(json.find("\"train_under_budget\": false"), std::string::npos);
  EXPECT_NE(json.find("\"artifact_under_cap\": false"), std::string::npos);
  EXPECT_NE(json.find("\"eval_under_budget\": true"), std::string::npos);
}

TEST(Record, AScoreOverItsBudgetSaysSo) {
  RunResult result = make_result();
  EXPECT_EQ(write_record_readme(result).find("over budget"), std::string::npos);
  result.times.eval_s = result.recipe.eval.wallclock_s + 1;
  EXPECT_NE(write_record_readme(result).find(" s, **over budget** |"), std::string::npos);
  EXPECT_NE(write_submission_json(result).find("\"eval_under_budget\": false"), std::string::npos);
}

TEST(Record, SameResultGivesTheSameBytes) {
  const RunResult result = make_result();
  EXPECT_EQ(write_submission_json(result), write_submission_json(make_result()));
  EXPECT_EQ(write_record_readme(result), write_record_readme(make_result()));
  EXPECT_EQ(draw_loss_curve(result.curve, "x"), draw_loss_curve(make_result().curve, "x"));
}

TEST(Record, ReadmeHasResultTablesAndCommand) {
  const std::string readme = write_record_readme(make_result());
  EXPECT_EQ(readme.substr(0, readme.find('\n')),
            "# First \\| run: 1.2150 bits per byte, 950,000 bytes");
  EXPECT_NE(readme.find("What is &lt;new\\>."), std::string::npos);
  EXPECT_NE(readme.find("| left under the cap | 50,000 |"), std::string::npos);
  EXPECT_NE(readme.find("| train and calibrate | 92.50 | 600 s |"), std::string::npos);
  EXPECT_NE(readme.find("train_gpt run runs/a/recipe.toml --out runs/a_again"), std::string::npos);
  EXPECT_NE(readme.find("zpaq x code.zpaq"), std::string::npos);
  EXPECT_EQ(readme.find("-lzstd"), std::string::npos);
}

TEST(Record, ALearntAndMixedScoreIsNamed) {
  RunResult result = make_result();
  EXPECT_NE(write_record_readme(result).find("| artifact, sliding, bpb |"), std::string::npos);
  result.pack.coder = Coder::kZstd;
  EXPECT_NE(write_record_readme(result).find("-lcrypto -lzstd\n"), std::string::npos);
  EXPECT_NE(write_submission_json(result).find("\"val_bpb_is\": \"final_int6_sliding_window\""),
            std::string::npos);
  result.recipe.ttt.kind = TttKind::kLora;
  result.recipe.mix.kind = MixKind::kLogit;
  EXPECT_NE(write_record_readme(result).find("| artifact, sliding + LoRA + n-grams, bpb |"),
            std::string::npos);
  EXPECT_NE(write_submission_json(result).find("\"val_bpb_is\": \"legal_ttt_ngram_mix\""),
            std::string::npos);
}

TEST(Record, SubmissionIsWrittenLastAndTheCheckpointGoes) {
  const TemporaryFolder temporary;
  const RunFolder folder = {.path = temporary.path(), .seed = 1337};
  write_file_atomic(folder.checkpoint(), std::string_view("x"));
  write_record(folder, make_result());
  for (const auto& file : {folder.plot(), folder.readme(), folder.submission()}) {
    EXPECT_TRUE(std::filesystem::exists(file)) << file;
  }
  EXPECT_FALSE(std::filesystem::exists(folder.checkpoint()));
}

// Someone removed the folder while the run was on.
TEST(Record, ARemovedFolderIsMadeAgain) {
  const TemporaryFolder temporary;
  const RunFolder folder = {.path = temporary.path() / "gone", .seed = 1337};
  write_record(folder, make_result());
  Recipe recipe;
  apply_toml(recipe, read_text_file(folder.recipe()), "recipe.toml");
  EXPECT_EQ(recipe.record.name, "First | run");
}

TEST(Record, TheFolderKnowsTheRecordAsTheRuns) {
  const TemporaryFolder temporary;
  const RunFolder folder = open_run_folder(temporary.path(), Recipe(), false);
  for (const auto& log : {folder.log(), folder.events(), folder.tape()}) {
    write_file_atomic(log, "[track]\n");
  }
  write_record(folder, make_result());
  EXPECT_EQ(RunFiles(folder.path).find_own().size(), 7u);
  write_file_atomic(folder.tape(), "[track]\nmine\n");  // a finished log grows no more
  EXPECT_TRUE(RunFiles(folder.path).is_foreign("tape.jsonl"));
}

TEST(Record, TheProgramIsNamedWithItsCompilerAndRevision) {
  const std::string program = describe_program();
  EXPECT_TRUE(std::regex_match(
      program, std::regex("revision ([0-9a-f]{12}(-dirty)?|unknown), compiled by \\w+ [0-9.]+")))
      << program;
}

TEST(RunSteps, NoStepWithinTheBudgetMakesNoRecord) {
  TrainConfig train;
  train.wallclock_s = 5;
  TrainResult trained;
  for (const StopReason reason : {StopReason::kInterrupted, StopReason::kWallclock}) {
    trained.stop_reason = reason;
    EXPECT_THROW(check_trained(trained, train), Error);
  }
  trained.steps = 1;
  trained.train_s = 4.9;
  EXPECT_NO_THROW(check_trained(trained, train));
  trained.train_s = 5.1;
  EXPECT_THROW(check_trained(trained, train), Error);
  train.wallclock_s = 0;  // none
  EXPECT_NO_THROW(check_trained(trained, train));
}

// A disk too full for the weights may still hold the artifact.
TEST(RunSteps, WeightsThatCannotBeKeptAreWarnedOf) {
  const TemporaryFolder temporary;
  const RunFolder folder = open_run_folder(temporary.path(), Recipe(), false);
  std::filesystem::create_symlink("final_model.safetensors", folder.weights());  // to itself
  ManualClock clock;
  std::FILE* sink = std::tmpfile();
  {
    RunLog log(Recipe(), folder, clock, 0.0, ProgressLine(sink, TerminalStyle::kPlain, false));
    EXPECT_NO_THROW(keep_weights(folder, {}, log));
  }
  std::fclose(sink);
  EXPECT_NE(read_text_file(folder.log()).find("warning: "), std::string::npos);
}

TEST(ReportSvg, PlotHasAxesAndEscapedTitle) {
  const std::string svg = draw_loss_curve(make_result().curve, "<a> & b");
  EXPECT_NE(svg.find("&lt;a&gt; &amp; b"), std::string::npos);
  EXPECT_NE(svg.find(">optimizer step</text>"), std::string::npos);
  EXPECT_NE(svg.find(">loss, nats per token</text>"), std::string::npos);
  EXPECT_NE(svg.find("step 1000: 2.0000 nats, 1.2100 bits per byte"), std::string::npos);
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
  EXPECT_LT(svg.size(), 20000u);  // 1000 points are thinned
}

TEST(ReportSvg, LongTitleIsCutBetweenCharacters) {
  std::string title(55, 'a');
  title += "\xe2\x82\xac\xe2\x82\xac";
  EXPECT_NE(draw_loss_curve({}, title).find(std::string(55, 'a') + "...</text>"),
            std::string::npos);
}

TEST(ReportSvg, EmptyAndNonFiniteCurvesDraw) {
  LossCurve curve;
  EXPECT_TRUE(draw_loss_curve(curve, "").ends_with("</svg>\n"));
  curve.train.push_back({1, 0, std::numeric_limits<double>::quiet_NaN(), 0});
  curve.train.push_back({2, 0, 3.0, 0});
  EXPECT_EQ(draw_loss_curve(curve, "").find("nan"), std::string::npos);
}

TEST(ReportSvg, TicksAreRound) {
  EXPECT_EQ(choose_ticks(0, 10, 5), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(choose_ticks(1.9, 3.1, 6).size(), 6u);
}

TEST(RunSteps, ForecastOverTheCapIsRefusedWithTheDifference) {
  Recipe recipe;
  recipe.quant.cap_bytes = 1000;
  EXPECT_EQ(check_forecast(recipe, {.least_bytes = 900, .likely_bytes = 1000}), "");
  const std::string coarse = check_forecast(recipe, {.least_bytes = 900, .likely_bytes = 1001});
  EXPECT_NE(coarse.find("2.5 bits"), std::string::npos) << coarse;
  recipe.quant.fill_cap = false;
  EXPECT_EQ(
      check_forecast(recipe, {.least_bytes = 900, .likely_bytes = 1001}),
      "the artifact will likely take 1,001 bytes, 1 over the cap of 1,000; this is judged from "
      "shapes alone, the progress line shows the projection from the weights");
  EXPECT_THROW(check_forecast(recipe, {.least_bytes = 1001, .likely_bytes = 2000}), std::exception);
}

TEST(DocsOps, CommittedFileIsTheGeneratedOne) {
  EXPECT_EQ(read_text_file("docs/ops.md"), write_docs_ops())
      << "run: train_gpt docs ops > docs/ops.md";
}

}  // namespace
}  // namespace pg
