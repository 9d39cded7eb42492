// Each key of "compliance" follows from the recipe and the result: something turns it round.
#include "harness/record/compliance.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "harness/record/record.h"
#include "tests/harness/run_fixture.h"

namespace pg {
namespace {

constexpr std::array<int64_t, 3> kSeeds = {42, 7, 1337};

// A record that keeps every rule.
RunResult make_legal_result() {
  RunResult result = make_result();
  result.facts.val_tokens = result.score.tokens + 1;
  result.facts.train_fingerprint = 1;
  result.facts.val_fingerprint = 2;
  return result;
}

std::string list(const RunResult& result, const ScoringTraits& traits,
                 std::span<const int64_t> seeds = kSeeds) {
  return list_compliance(result, traits, seeds).line();
}

ScoringTraits traits_of(const RunResult& result) {
  return describe_scoring(result.recipe.ttt, result.recipe.mix);
}

TEST(Compliance, ALegalRecordKeepsEveryRule) {
  RunResult result = make_legal_result();
  EXPECT_EQ(list(result, traits_of(result)).find("false"), std::string::npos)
      << list(result, traits_of(result));
}

TEST(Compliance, EachKeyIsTurnedByItsOwnCause) {
  struct Case {
    const char* key;
    std::function<void(RunResult&, ScoringTraits&)> change;
  };
  const std::vector<Case> cases = {
      {"artifact_under_cap", [](auto& r, auto&) { r.pack.cap_bytes = r.pack.total_bytes - 1; }},
      {"artifact_under_16mb",
       [](auto& r, auto&) { r.pack.cap_bytes = r.pack.total_bytes = 16'000'000; }},
      {"train_under_budget",
       [](auto& r, auto&) { r.recipe.train.wallclock_s = r.times.train_s + 1; }},
      {"train_under_600s",
       [](auto& r, auto&) {
         r.recipe.train.wallclock_s = 0;
         r.times.train_s = 599;  // and 3 s of calibration
       }},
      {"eval_under_budget", [](auto& r, auto&) { r.recipe.eval.wallclock_s = 3; }},
      {"eval_under_600s",
       [](auto& r, auto&) {
         r.recipe.eval.wallclock_s = 0;
         r.times.eval_s = 600.5;
       }},
      {"full_validation_targets", [](auto& r, auto&) { ++r.facts.val_tokens; }},
      {"no_slot", [](auto&, auto& t) { t.optimises_on_own_targets = true; }},
  };
  for (const Case& c : cases) {
    RunResult result = make_legal_result();
    ScoringTraits traits;
    c.change(result, traits);
    const std::string json = list(result, traits);
    EXPECT_NE(json.find(std::string("\"") + c.key + "\":false"), std::string::npos) << json;
    EXPECT_EQ(json.find("false"), json.rfind("false")) << json;
  }
}

TEST(Compliance, TargetsScoredTwiceAreNoSinglePass) {
  RunResult result = make_legal_result();
  --result.facts.val_tokens;
  const std::string json = list(result, {});
  EXPECT_NE(json.find("\"single_pass\":false"), std::string::npos) << json;
  EXPECT_NE(json.find("\"full_validation_targets\":false"), std::string::npos) << json;
}

TEST(Compliance, SomeOfTheManifestsShardsAreNotAllTargets) {
  RunResult result = make_legal_result();
  result.facts.is_val_part = true;
  const std::string json = list(result, {});
  EXPECT_NE(json.find("\"full_validation_targets\":false"), std::string::npos) << json;
}

TEST(Compliance, ValidationTextInTrainingIsALeak) {
  RunResult result = make_legal_result();
  result.facts.train_fingerprint = result.facts.val_fingerprint;
  RunResult part = make_legal_result();
  part.facts.is_val_in_train = true;
  for (const RunResult& leak : {result, part}) {
    const std::string json = list(leak, {});
    EXPECT_NE(json.find("\"no_validation_training_leak\":false"), std::string::npos) << json;
    EXPECT_NE(json.find("\"no_pre_quant_ttt\":false"), std::string::npos) << json;
  }
}

TEST(Compliance, TestTimeTrainingFollowsFromTheRecipe) {
  RunResult result = make_legal_result();
  EXPECT_EQ(list(result, traits_of(result)).find("score_first_ttt"), std::string::npos);
  for (const TttKind kind :
       {TttKind::kSgd, TttKind::kPhased, TttKind::kLora, TttKind::kPhasedLora}) {
    result.recipe.ttt.kind = kind;
    const std::string json = list(result, traits_of(result));
    EXPECT_NE(json.find("\"no_ttt\":false"), std::string::npos) << json;
    EXPECT_NE(json.find("\"score_first_ttt\":true"), std::string::npos) << json;
    EXPECT_NE(json.find("\"no_pre_quant_ttt\":true"), std::string::npos) << json;
  }
  const std::string before = list(result, {.trains_before_score = true});
  EXPECT_NE(before.find("\"score_first_ttt\":false"), std::string::npos) << before;
  EXPECT_NE(before.find("\"no_pre_quant_ttt\":false"), std::string::npos) << before;
}

TEST(Compliance, NgramsAndLogitsFollowFromTheRecipe) {
  RunResult result = make_legal_result();
  for (const auto& [kind, is_logit] : {std::pair(MixKind::kLinear, false),
                                       {MixKind::kCascade, false},
                                       {MixKind::kPpm, false},
                                       {MixKind::kTilt, true},
                                       {MixKind::kLogit, true}}) {
    result.recipe.mix.kind = kind;
    const std::string json = list(result, traits_of(result));
    EXPECT_NE(json.find("\"no_ngram_cache\":false"), std::string::npos) << json;
    EXPECT_EQ(json.find("\"no_etlb\":false") != std::string::npos, is_logit) << json;
  }
}

TEST(Compliance, ThreeSeedsAreThreeDifferentOnes) {
  const RunResult result = make_legal_result();
  for (const std::vector<int64_t>& seeds : {std::vector<int64_t>{1}, {1, 2}, {1, 2, 2}}) {
    EXPECT_NE(list(result, {}, seeds).find("\"three_seeds\":false"), std::string::npos);
  }
}

// Both are what counts against the training budget.
TEST(Record, TheTwoTimesOfTrainingAreOne) {
  const std::string json = write_submission_json(make_result());
  EXPECT_NE(json.find("\"train_wallclock_ms\": 92500.0"), std::string::npos) << json;
  EXPECT_NE(json.find("\"wallclock_seconds\": 92.5"), std::string::npos) << json;
  EXPECT_NE(write_record_readme(make_result()).find("`wallclock_seconds` and `train_wallclock_ms`"),
            std::string::npos);
}

}  // namespace
}  // namespace pg
