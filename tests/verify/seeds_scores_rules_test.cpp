// Seeds, statistics, the stated score against the logs, the denominator.
#include <fmt/format.h>

#include "tests/verify/verify_fixture.h"

namespace pg {
namespace {

using SeedsRules = VerifyTest;
using ScoresRules = VerifyTest;
using ValBytesRules = VerifyTest;

TEST_F(SeedsRules, FewerThanThree) {
  EXPECT_EQ(find("few_seeds"), "");
  remove("train_seed42.log");
  EXPECT_EQ(find("few_seeds"), "warn");
}

TEST_F(SeedsRules, FarApart) {
  write_logs([](LogWords& w) { w.val_bpb = w.seed == "42" ? 1.1090 : w.val_bpb; });
  EXPECT_EQ(find("seed_spread"), "warn");
  write_logs([](LogWords& w) { w.val_bpb = w.seed == "42" ? 1.1100 : w.val_bpb; });
  EXPECT_EQ(find("seed_spread"), "");
}

TEST_F(SeedsRules, BestForTheMean) {
  set("val_bpb", "1.1193");
  EXPECT_EQ(find("best_seed_stated"), "");  // 0.0001 under the mean, no more
  write_logs([](LogWords& w) { w.val_bpb = w.seed == "42" ? 1.1183 : w.val_bpb; });
  set("val_bpb", "1.1183");
  EXPECT_EQ(find("best_seed_stated"), "note");
}

TEST_F(SeedsRules, ValueThatItsLogDoesNotHave) {
  set("seed_results", "{\"42\": {\"val_bpb\": 1.1192}, \"1337\": {\"val_bpb\": 1.1195}}");
  EXPECT_EQ(find("seed_value_mismatch"), "warn");
  set("seed_results", "{\"42\": 1.1193, \"1337\": 1.1195}");
  EXPECT_EQ(find("seed_value_mismatch"), "");
  set("seeds", "[1337, 42]");
  set("val_bpb_seeds", "[1.1195, 1.1193]");  // in the order of "seeds"
  EXPECT_EQ(find("seed_value_mismatch"), "");
}

TEST_F(SeedsRules, MeanOfTheSeeds) {
  set("val_bpb", "1.1197");
  EXPECT_EQ(find("mean_mismatch"), "warn");
  set("val_bpb", "1.1193");  // the lowest
  EXPECT_EQ(find("mean_mismatch"), "");
}

TEST_F(SeedsRules, DeviationOfEitherForm) {
  for (const char* std : {"0.0001", "0.0000816"}) {
    set("val_bpb_std", std);
    EXPECT_EQ(find("std_mismatch"), "") << std;
  }
  set("val_bpb_std", "0.0004");
  EXPECT_EQ(find("std_mismatch"), "note");
}

TEST_F(ScoresRules, ScoreThatNoLineHas) {
  set("val_bpb", "1.1150");
  EXPECT_EQ(find("bpb_not_in_log"), "reject");
  set("val_bpb", "1.1198");  // within 0.0005
  EXPECT_EQ(find("bpb_not_in_log"), "warn");
  set("val_bpb", "1.1195");  // a line
  EXPECT_EQ(find("bpb_not_in_log"), "");
  set("val_bpb", "1.119400");  // the mean
  EXPECT_EQ(find("bpb_not_in_log"), "");
}

TEST_F(ScoresRules, ScoreOfAnUnknownLine) {
  append("train_seed42.log", "the answer is 1.104217\n");
  set("val_bpb", "1.104217");
  EXPECT_EQ(find("bpb_not_in_log"), "");
  EXPECT_EQ(find("bpb_other_line"), "note");
  set("val_bpb", "1.104218");
  EXPECT_EQ(find("bpb_not_in_log"), "reject");
}

TEST_F(ScoresRules, SeveralRunsInOneLog) {
  std::string all;
  for (const SeedWords& seed : kSeedWords) {
    all += read(fmt::format("train_seed{}.log", seed.seed));
    remove(fmt::format("train_seed{}.log", seed.seed));
  }
  write("train.log", all);
  EXPECT_EQ(find("bpb_not_in_log"), "");
  EXPECT_EQ(find("few_seeds"), "");
}

TEST_F(ScoresRules, ScoreFromBeforePacking) {
  write_logs([](LogWords& w) {
    w.before_final = "DIAGNOSTIC post_ema val_loss:1.8569 val_bpb:1.09980000 eval_time:2000ms\n";
  });
  set("val_bpb", "1.0998");
  EXPECT_EQ(find("bpb_prequant_line"), "warn");
  set("val_bpb", "1.1194");
  EXPECT_EQ(find("bpb_prequant_line"), "");
}

TEST_F(ScoresRules, ScoreOfAnEarlierEvaluation) {
  EXPECT_EQ(find("bpb_other_line"), "");
  set("val_bpb", "1.141788");  // the round trips' mean
  EXPECT_EQ(find("bpb_other_line"), "note");
}

TEST_F(ScoresRules, MistypedScore) {
  set("val_bpb", "0.1194");
  EXPECT_EQ(find("json_value_typo"), "reject");
  set("val_bpb", "11.194");
  EXPECT_EQ(find("json_value_typo"), "reject");
  set("val_bpb", "1.1094");  // near enough to be meant
  EXPECT_EQ(find("json_value_typo"), "");
}

TEST_F(ScoresRules, PublishedScoreOfAnotherRecord) {
  set("val_bpb", "1.1458");
  EXPECT_EQ(find("score_of_other_run"), "reject");
  write_logs([](LogWords& w) { w.val_bpb = 1.1458; });  // its own after all
  EXPECT_EQ(find("score_of_other_run"), "");
}

TEST_F(ScoresRules, ExpectedAndNotMeasured) {
  append("README.md", "**Expected val_bpb: 1.1194**\n");
  EXPECT_EQ(find("score_expected_not_measured"), "");  // the logs have it
  for (const SeedWords& seed : kSeedWords) remove(fmt::format("train_seed{}.log", seed.seed));
  EXPECT_EQ(find("score_expected_not_measured"), "reject");
}

TEST_F(ValBytesRules, BytesOfTheWholeText) {
  write_logs([](LogWords& w) { w.bytes_per_token = 2.435938 * 1.005; });
  EXPECT_EQ(find("val_bytes_off"), "reject");
  write_logs([](LogWords& w) { w.bytes_per_token = 2.435938 * 1.003; });
  EXPECT_EQ(find("val_bytes_off"), "");
}

TEST_F(ValBytesRules, SpaceCountedTwice) {
  write_logs([](LogWords& w) { w.bytes_per_token = 2.435938 * 1.177; });
  EXPECT_EQ(find("denominator_bug"), "reject");
}

TEST_F(ValBytesRules, DenominatorByVocabularyAndTrainingLoss) {
  const auto write_short = [&](double val_bpb) {
    for (const SeedWords& seed : kSeedWords) {
      std::string text = fmt::format(
          "Seed: {}, Max steps: 9999\nWorld size: 8\nstep 1/9999 | loss 6.9368 | 105s\n",
          seed.seed);
      for (int step = 1000; step <= 1800; step += 100)
        text += fmt::format("step {}/9999 | loss 2.1200 | 500s\n", step);
      write(fmt::format("train_seed{}.log", seed.seed),
            text + fmt::format("Quantized BPB: {:.6f}\n", val_bpb));
    }
  };
  write_short(1.0283);
  EXPECT_EQ(find("denominator_bug"), "reject");
  write_short(1.2558);
  EXPECT_EQ(find("denominator_bug"), "");
}

TEST_F(ValBytesRules, CorrectedFiguresAreANote) {
  write_logs([](LogWords& w) { w.bytes_per_token = 2.435938 * 1.177; });
  set("val_bpb", "1.3175");
  append("README.md", "## Errata\nThe byte count was wrong; 1.3175 is the corrected score.\n");
  EXPECT_EQ(find("denominator_bug"), "note");
}

TEST_F(ValBytesRules, OneLineOfAnotherRatio) {
  append("train_seed42.log", "ngram_cache val_loss:1.8230 val_bpb:1.0944 eval_time:66035ms\n");
  EXPECT_EQ(find("line_ratio_off"), "warn");
  write_logs(
      [](LogWords& w) { w.behind = "again val_loss:1.8230 val_bpb:1.0797 eval_time:66035ms\n"; });
  EXPECT_EQ(find("line_ratio_off"), "");
}

TEST_F(ValBytesRules, LossAndScoreOfTheJson) {
  set("val_loss", "1.95");
  EXPECT_EQ(find("json_ratio_off"), "warn");
  set("val_loss", "1.8901");
  EXPECT_EQ(find("json_ratio_off"), "");
}

TEST_F(ValBytesRules, PartOfTheText) {
  write_logs([](LogWords& w) { w.val_tokens = 9662464; });
  EXPECT_EQ(find("val_subset"), "reject");
  write_logs([](LogWords& w) { w.val_tokens = 62021632; });
  EXPECT_EQ(find("val_subset"), "");
  append("train_seed42.log", "quick check val_tokens: 65536\n");  // beside the whole text
  EXPECT_EQ(find("val_subset"), "");
  append("train_seed42.log", "ppm_mix bytes=10982035 mix_bpb=1.002519\n");
  EXPECT_EQ(find("val_subset"), "reject");
}

}  // namespace
}  // namespace pg
