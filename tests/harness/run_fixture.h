// A run without training: an empty folder, a recipe, and reports as a trainer would give them.
#pragma once
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "harness/record/record.h"
#include "src/base/bytes.h"
#include "src/train/checkpoint.h"

namespace pg {

// A fresh folder that is removed at the end of the test.
class TemporaryFolder {
 public:
  // `name` tells two of one test apart.
  explicit TemporaryFolder(const std::string& name = {}) {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    path_ = std::filesystem::path(testing::TempDir()) /
            (std::string("pg_") + test->test_suite_name() + "_" + test->name() + name);
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// A checkpoint of so many steps in the folder of a run.
inline void write_steps(const std::filesystem::path& folder, int64_t steps) {
  CheckpointImage checkpoint(CheckpointSizes{});
  CheckpointHead head;
  head.steps = steps;
  checkpoint.set_head(head);
  checkpoint.write(folder / RunFolder::kCheckpointName);
}

inline StepReport make_step(int64_t step, double train_s, double loss_nats) {
  StepReport report;
  report.step = step;
  report.train_s = train_s;
  report.step_s = 0.0834;
  report.loss_nats = loss_nats;
  report.grad_norm = 0.5;
  report.lr_multiplier = 1;
  report.tokens_per_s = 98300;
  report.speed_of_light = 0.41;
  report.time_left_s = 102.9;
  report.projected_bytes = 912345;
  report.log = true;
  return report;
}

inline CodedPart make_coded_part() {
  return {.tokens = 1000,
          .bytes = 2500,
          .payload_bytes = 400,
          .file_bytes = 500,
          .metered_bits = 3199.5,
          .fast_bits = 3200};
}

inline ScoreLine make_score_line(double loss_nats, double bits_per_byte, double eval_s) {
  ScoreLine score;
  score.loss_nats = loss_nats;
  score.bits_per_byte = bits_per_byte;
  score.eval_s = eval_s;
  score.tokens = make_coded_part().tokens;
  return score;
}

inline RunResult make_result() {
  RunResult result;
  result.recipe.record.name = "First | run";
  result.recipe.record.author = "A. Author";
  result.recipe.record.blurb = "What is <new>.";
  result.recipe.track.name = "demo";
  result.coded = make_coded_part();
  result.date = "2026-11-22";
  result.command = "train_gpt run runs/a/recipe.toml --out runs/a_again";
  result.facts.params = 1752653;
  result.facts.hardware = "A processor, 2 cores";
  result.facts.device = "cpu";
  result.facts.program = "compiled by 12.2.0";
  result.steps = 1000;
  result.tokens = 16384000;
  result.stop_reason = StopReason::kWallclock;
  result.averaging = "ema 0.98";
  result.pack = {.model_bytes = 900000,
                 .code_bytes = 50000,
                 .total_bytes = 950000,
                 .cap_bytes = 1000000,
                 .bits_per_weight = 4.1,
                 .entropy_bytes = 880000,
                 .code_stream_bytes = 870000};
  result.allocation = {{.name = "blocks.0.attn.q",
                        .elements = 4096,
                        .bits = 6,
                        .scale = 0.05,
                        .bytes = 1800,
                        .coarseness = 0.02,
                        .loss_nats = 0.0005}};
  result.artifact_name = "final_model.int6.bin";
  result.artifact_sha256 = "ab";
  result.pre_quant = {.diagnostic_loss_nats = 2.0, .diagnostic_bits_per_byte = 1.21, .eval_s = 1};
  result.roundtrip = make_score_line(2.1, 1.22, 1);
  result.score = make_score_line(2.05, 1.215, 4);
  result.score.tokens = 100000;
  result.score.bytes = 240000;
  result.score.documents = 100;
  result.times = {.first_step_s = 0.9,
                  .train_s = 89.5,
                  .diagnose_s = 2,
                  .calibrate_s = 3,
                  .quantize_s = 1,
                  .pack_s = 2,
                  .eval_s = 4,
                  .total_s = 100};
  for (int64_t step = 1; step <= 1000; ++step) {
    result.curve.train.push_back(
        {step, 0.09 * static_cast<double>(step), 2.0 + 5.0 / static_cast<double>(step), 0});
  }
  result.curve.validation.push_back({1000, 89.5, 2.0, 1.21});
  return result;
}

}  // namespace pg
