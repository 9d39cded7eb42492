#include "harness/record/replay_report.h"

#include <gtest/gtest.h>

#include <set>

namespace pg {
namespace {

TapePart make_part(std::map<std::string, std::string> changes = {}) {
  TapePart part;
  part.identity = {{"event", "start"},    {"processor", "P"}, {"instructions", "AVX2"},
                   {"device", "cpu:f32"}, {"revision", "aa"}, {"compiler", "GNU"},
                   {"threads", "2"},      {"ranks", "1"},     {"device_libraries", "l"},
                   {"arithmetic", "1"},   {"chain", "00"},    {"resumed", "false"}};
  for (auto& [key, value] : changes) part.identity[key] = value;
  return part;
}

TEST(ReplayReport, WhatMayChangeANumberDecides) {
  const TapePart now =
      make_part({{"processor", "Q"}, {"threads", "4"}, {"chain", "11"}, {"resumed", "true"}});
  std::set<std::string> all, deciding;
  for (const IdentityChange& change : list_identity_changes(make_part(), now, /*exact=*/false)) {
    all.insert(change.key);
    if (change.decides) deciding.insert(change.key);
  }
  EXPECT_EQ(all, (std::set<std::string>{"processor", "threads"}));  // not where a line stands
  EXPECT_EQ(deciding, std::set<std::string>{"processor"});          // threads never do
  for (const IdentityChange& change : list_identity_changes(make_part(), now, /*exact=*/true)) {
    EXPECT_FALSE(change.decides) << change.key;
  }
  const auto other = list_identity_changes(make_part(), make_part({{"arithmetic", "2"}}), true);
  ASSERT_EQ(other.size(), 1u);
  EXPECT_TRUE(other[0].decides);
  EXPECT_EQ(other[0].then + other[0].now, "12");
  EXPECT_TRUE(list_identity_changes(make_part(), make_part(), false).empty());
}

std::vector<HostTensor> make_tensors() {
  std::vector<HostTensor> tensors(2);
  tensors[0].spec.name = "first";
  tensors[0].values = {1, 2, 3};
  tensors[1].spec.name = "second";
  tensors[1].values = {4, 5};
  return tensors;
}

TEST(ReplayReport, TheFirstTensorThatDiffersIsNamed) {
  const std::vector<HostTensor> then = make_tensors();
  EXPECT_FALSE(find_tensor_change(then, make_tensors()));
  std::vector<HostTensor> now = make_tensors();
  now[1].values[0] = 4.5f;
  auto change = find_tensor_change(then, now);
  ASSERT_TRUE(change);
  EXPECT_EQ(change->name, "second");
  EXPECT_EQ(change->changed, 1);
  EXPECT_EQ(change->values, 2);
  EXPECT_EQ(change->largest, 0.5);
  now[0].values[2] = 3.25f;
  change = find_tensor_change(then, now);
  EXPECT_EQ(change->name, "first");
  EXPECT_EQ(change->largest, 0.5);  // of all
}

TEST(ReplayReport, TheFirstStepThatDiffersIsNamed) {
  Tape tape;
  for (int64_t step = 1; step <= 4; ++step) {
    TapeStep told;
    told.step = step;
    if (step != 3) told.loss_nats = 1.0 / static_cast<double>(step);
    tape.steps.push_back(told);
  }
  StepCheck check(tape);
  check.add(1, 1.0);
  check.add(2, 0.5);
  EXPECT_FALSE(check.first_change());
  check.add(3, 7.0);  // nothing to compare with
  EXPECT_FALSE(check.first_change());
  check.add(4, 0.25 + 0x1p-56);
  EXPECT_FALSE(check.first_change()) << "the same double";
  check.add(2, 0.5000001);
  check.add(4, 9);
  ASSERT_TRUE(check.first_change());
  EXPECT_EQ(check.first_change()->step, 2);
  EXPECT_EQ(check.compared(), 5);
  check.add(5, 1);  // beyond the tape
  check.add(0, 1);
  EXPECT_EQ(check.compared(), 5);
}

}  // namespace
}  // namespace pg
