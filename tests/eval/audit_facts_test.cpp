// The probes that look at numbers: budgets, overlap of train and val, weights. And that probes run
// on the real network scorer.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "eval/audit/audit.h"
#include "eval/make_scorer.h"
#include "src/device/registry/make_device.h"
#include "tests/eval/eval_fixture.h"

namespace pg {
namespace {

AuditBudget make_budget() {
  return {.train_s = 595,
          .calibration_s = 3,
          .eval_s = 500,
          .code_bytes = 60'000,
          .model_bytes = 15'900'000,
          .step_times_s = {1, 2, 2, 3}};
}

TEST(Audit, BudgetsWithinTheCapsPass) {
  EXPECT_EQ(probe_budget(make_budget()).verdict, Verdict::kPass);
}

TEST(Audit, BudgetsOverTheCapsFail) {
  AuditBudget late = make_budget(), slow = make_budget(), large = make_budget();
  late.calibration_s = 6.9;  // on training data, after 595 s: counts
  slow.eval_s = 602.0;
  large.model_bytes += 40'001;
  for (const AuditBudget& budget : {late, slow, large}) {
    EXPECT_EQ(probe_budget(budget).verdict, Verdict::kFail) << probe_budget(budget).reason;
  }
}

TEST(Audit, BudgetsOfAClockThatRunsBackwardsFail) {
  AuditBudget budget = make_budget();
  budget.step_times_s = {1, 3, 2};
  EXPECT_EQ(probe_budget(budget).verdict, Verdict::kFail);
}

TEST(Audit, BudgetsWithoutTimesAreNotRunButSizesStillCount) {
  AuditBudget budget = make_budget();
  budget.train_s = -1;
  EXPECT_EQ(probe_budget(budget).verdict, Verdict::kNotRun);
  budget.cap_bytes = 1000;
  EXPECT_EQ(probe_budget(budget).verdict, Verdict::kFail);
}

// Documents of 100 random ids behind a BOS.
std::vector<uint16_t> make_documents(int64_t count, uint64_t seed) {
  std::vector<uint16_t> ids;
  for (int64_t d = 0; d < count; ++d) {
    std::vector<uint16_t> document = make_random_ids(101, seed + static_cast<uint64_t>(d));
    for (uint16_t& id : document) id = std::max<uint16_t>(id, 4);
    document[0] = static_cast<uint16_t>(kBosId);
    ids.insert(ids.end(), document.begin(), document.end());
  }
  return ids;
}

std::vector<uint16_t> join(std::vector<uint16_t> a, std::span<const uint16_t> b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST(Audit, OverlapOfSeparateTextsPasses) {
  const TokenStream train = make_stream(make_documents(20, 1));
  const TokenStream val = make_stream(make_documents(10, 100));
  const ProbeResult result = probe_overlap(train, val, make_test_bytes());
  EXPECT_EQ(result.verdict, Verdict::kPass) << result.reason;
}

TEST(Audit, OverlapFindsOneValDocumentInTrain) {
  const std::vector<uint16_t> val_ids = make_documents(10, 100);
  const std::vector<uint16_t> leaked(val_ids.begin() + 303, val_ids.begin() + 404);
  const TokenStream train =
      make_stream(join(join(make_documents(9, 1), leaked), make_documents(9, 50)));
  const ProbeResult result = probe_overlap(train, make_stream(val_ids), make_test_bytes());
  EXPECT_EQ(result.verdict, Verdict::kFail) << result.reason;
  EXPECT_NE(result.reason.find("1 of 10 val documents"), std::string::npos) << result.reason;
}

TEST(Audit, OverlapFindsValTextCutOtherwise) {
  // No whole document leaks, but half of each.
  std::vector<uint16_t> train_ids = make_documents(10, 1);
  const std::vector<uint16_t> val_ids = make_documents(10, 100);
  for (size_t d = 0; d < 10; ++d) {
    std::copy_n(val_ids.begin() + static_cast<int64_t>(d * 101 + 40), 60,
                train_ids.begin() + static_cast<int64_t>(d * 101 + 5));
  }
  const ProbeResult result =
      probe_overlap(make_stream(train_ids), make_stream(val_ids), make_test_bytes());
  EXPECT_EQ(result.verdict, Verdict::kFail) << result.reason;
}

class AuditOfNetwork : public testing::Test {
 protected:
  ModelConfig config_ = make_test_config();
  UnpackedModel model_ = make_artifact_model(config_, make_random_weights(config_, 3));
  std::unique_ptr<Device> device_ = make_device("reference");
  EvalConfig eval_ = {.context = 8, .stride = 4, .batch_tokens = 16};
  ByteTable bytes_ = make_test_bytes();

  AuditSubject make_subject(int64_t tokens) {
    AuditSubject subject;
    subject.make_scorer = [this, tokens] { return make_scorer(model_, eval_, *device_, tokens); };
    subject.vocab_size = config_.vocab_size;
    subject.bytes = &bytes_;
    return subject;
  }
};

TEST_F(AuditOfNetwork, PassesEveryProbe) {
  const std::vector<uint16_t> ids = make_random_ids(30, 5);
  const std::vector<int32_t> text(ids.begin(), ids.end());
  AuditOptions options = {.cuts = 3, .substitutions = 3, .substitutes = 1};
  std::vector<std::string> shown;
  options.progress = [&](const std::string& work) { shown.push_back(work); };
  const auto results = audit_scorer(make_subject(30), text, options);
  EXPECT_EQ(shown.front(), "audit: first run, 1 of 29 targets");
  EXPECT_EQ(shown.back().substr(0, 22), "audit: probe 13 of 13,");
  for (const ProbeResult& result : results) {
    const bool may_be_absent = result.id == "V4" || result.id == "V6";
    EXPECT_TRUE(may_be_absent || result.verdict == Verdict::kPass)
        << result.id << ": " << result.reason;
  }
}

TEST_F(AuditOfNetwork, WeightsThatAreNotTheArtifactsFail) {
  const auto scored = make_scorer(model_, eval_, *device_, 30)->download_weights();
  EXPECT_EQ(probe_weights(scored, model_.tensors()).verdict, Verdict::kPass);
  // Weights before quantisation, one bit of one weight, a tensor too few, one added.
  EXPECT_EQ(probe_weights(make_random_weights(config_, 3), model_.tensors()).verdict,
            Verdict::kFail);
  auto other = scored;
  other.back().values[0] = std::nextafter(other.back().values[0], 10.0f);
  EXPECT_EQ(probe_weights(other, model_.tensors()).verdict, Verdict::kFail);
  other = scored;
  other.pop_back();
  EXPECT_EQ(probe_weights(other, model_.tensors()).verdict, Verdict::kFail);
}

TEST_F(AuditOfNetwork, AddedWeightsMustStartAsNothing) {
  const auto scored = make_scorer(model_, eval_, *device_, 30)->download_weights();
  HostTensor random = scored.back(), zero = scored.back();
  random.values.assign(random.values.size(), 0.5f);
  zero.values.assign(zero.values.size(), 0.0f);
  const auto probe_with = [&](const std::vector<HostTensor>& added) {
    auto all = scored;
    all.insert(all.end(), added.begin(), added.end());
    return probe_weights(all, model_.tensors()).verdict;
  };
  EXPECT_EQ(probe_with({zero}), Verdict::kPass);
  EXPECT_EQ(probe_with({random, zero, random, zero}), Verdict::kPass);
  EXPECT_EQ(probe_with({random}), Verdict::kFail);
  EXPECT_EQ(probe_with({random, zero, random, random}), Verdict::kFail);
}

}  // namespace
}  // namespace pg
