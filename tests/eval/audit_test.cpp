// The probes against the zoo: every fraud is rejected by the probe that is meant for it, every
// legal scorer passes all.
#include "eval/audit/audit.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/eval/zoo/exhibits.h"

namespace pg {

std::vector<Exhibit> list_frauds() {
  std::vector<Exhibit> zoo;
  append_peeking_frauds(zoo);
  append_distribution_frauds(zoo);
  append_bookkeeping_frauds(zoo);
  return zoo;
}

std::vector<Exhibit> list_legal() {
  std::vector<Exhibit> zoo;
  append_legal_learners(zoo);
  append_legal_mixers(zoo);
  return zoo;
}

// Test names; googletest finds it by this name.
void PrintTo(const Exhibit& exhibit, std::ostream* out) { *out << exhibit.name; }

namespace {

constexpr int64_t kTextTokens = 200;

std::vector<ProbeResult> audit(const Exhibit& exhibit) {
  return audit_scorer(exhibit.subject, make_zoo_text(kTextTokens),
                      {.decoder_views = kTextTokens, .decode_tokens = 64});
}

// "V1 V9"
std::string list_ids(const std::vector<ProbeResult>& results, Verdict verdict) {
  std::string ids;
  for (const ProbeResult& r : results) {
    if (r.verdict == verdict) ids += (ids.empty() ? "" : " ") + r.id;
  }
  return ids;
}

std::string name_exhibit(const testing::TestParamInfo<Exhibit>& info) {
  std::string name = info.param.name + (info.param.probe.empty() ? "" : "_" + info.param.probe);
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

class Zoo_Fraud : public testing::TestWithParam<Exhibit> {};

TEST_P(Zoo_Fraud, IsRejectedByItsProbe) {
  const std::vector<ProbeResult> results = audit(GetParam());
  const auto own = std::find_if(results.begin(), results.end(),
                                [&](const ProbeResult& r) { return r.id == GetParam().probe; });
  ASSERT_NE(own, results.end());
  EXPECT_EQ(own->verdict, Verdict::kFail)
      << own->reason << "; failed: " << list_ids(results, Verdict::kFail);
  EXPECT_EQ(combine_verdicts(results), Verdict::kFail);
}

INSTANTIATE_TEST_SUITE_P(Audit, Zoo_Fraud, testing::ValuesIn(list_frauds()), name_exhibit);

class Zoo_Legal : public testing::TestWithParam<Exhibit> {};

TEST_P(Zoo_Legal, PassesEveryProbe) {
  for (const ProbeResult& result : audit(GetParam())) {
    EXPECT_NE(result.verdict, Verdict::kFail) << result.id << ": " << result.reason;
    const bool may_be_absent = result.id == "V4" || result.id == "V6";
    EXPECT_TRUE(may_be_absent || result.verdict == Verdict::kPass)
        << result.id << ": " << result.reason;
  }
}

INSTANTIATE_TEST_SUITE_P(Audit, Zoo_Legal, testing::ValuesIn(list_legal()), name_exhibit);

TEST(Zoo, TableOfVerdicts) {
  int64_t caught = 0, passed = 0;
  fmt::print("{:<36}{:<8}{:<10}{}\n", "fraud", "probe", "verdict", "also rejected by");
  const std::vector<Exhibit> frauds = list_frauds(), legal = list_legal();
  for (const Exhibit& exhibit : frauds) {
    const std::vector<ProbeResult> results = audit(exhibit);
    std::string others, verdict = "passed";
    for (const ProbeResult& r : results) {
      if (r.verdict != Verdict::kFail) continue;
      if (r.id == exhibit.probe) {
        verdict = "rejected";
        ++caught;
      } else {
        others += r.id + " ";
      }
    }
    fmt::print("{:<36}{:<8}{:<10}{}\n", exhibit.name, exhibit.probe, verdict, others);
  }
  fmt::print("{:<36}{:<8}{:<10}{}\n", "legal", "", "verdict", "rejected by");
  for (const Exhibit& exhibit : legal) {
    const std::string failed = list_ids(audit(exhibit), Verdict::kFail);
    passed += failed.empty() ? 1 : 0;
    fmt::print("{:<36}{:<8}{:<10}{}\n", exhibit.name, "", failed.empty() ? "passed" : "rejected",
               failed);
  }
  fmt::print("frauds rejected by the probe meant for them: {} of {}\n", caught, frauds.size());
  fmt::print("legal scorers that pass every probe: {} of {}\n", passed, legal.size());
  EXPECT_GE(frauds.size(), 20u);
  EXPECT_GE(legal.size(), 20u);
  EXPECT_EQ(caught, static_cast<int64_t>(frauds.size()));
  EXPECT_EQ(passed, static_cast<int64_t>(legal.size()));
}

}  // namespace
}  // namespace pg
