// What an artifact says of its scoring is what makes its scorer, and nothing else does.
#include "eval/scoring_keys.h"

#include <gtest/gtest.h>

#include "src/base/error.h"
#include "tests/eval/eval_fixture.h"

namespace pg {
namespace {

UnpackedModel model_with(const std::string& keys) {
  const ModelConfig config = make_test_config();
  return make_artifact_model(config, make_random_weights(config, 1), {}, keys);
}

std::string error_of(const std::string& keys) {
  try {
    read_scoring(model_with(keys));
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// Another value that its range allows.
void change(const FieldInfo& info, int64_t& value) {
  value += static_cast<double>(value) < info.max ? 1 : -1;
}
void change(const FieldInfo& info, double& value) { value = value / 2 + info.min / 2 + 3e-4; }
void change(const FieldInfo&, bool& value) { value = !value; }
void change(const FieldInfo&, std::string& value) { value = "q,v"; }
template <class Choice>
requires std::is_enum_v<Choice>
void change(const FieldInfo& info, Choice& value) {
  value = static_cast<Choice>((static_cast<size_t>(value) + 1) % info.choices.size());
}

ScoringConfig everything_on() {
  ScoringConfig config({});
  config.ttt.kind = TttKind::kLora;
  config.mix.kind = MixKind::kLogit;
  return config;
}

TEST(ScoringKeys, EveryKeyIsStoredAndReadBack) {
  std::vector<std::string> names;
  ScoringConfig all = everything_on();
  visit_scoring_fields(all, [&](const char* section, const FieldInfo& info, auto&) {
    names.push_back(std::string(section) + "." + info.key);
  });
  EXPECT_EQ(names.size(), frozen_scoring_keys().size());
  for (const std::string& name : names) {
    ScoringConfig config = everything_on();
    config.eval.context = 96;
    visit_scoring_fields(config, [&](const char* section, const FieldInfo& info, auto& member) {
      if (name == std::string(section) + "." + info.key) change(info, member);
    });
    const std::string keys = write_scoring_keys(config);
    EXPECT_EQ(write_scoring_keys(read_scoring(model_with(keys))), keys) << name;
    if (name != "eval.context") {
      ScoringConfig unchanged = everything_on();
      unchanged.eval.context = 96;
      EXPECT_NE(keys, write_scoring_keys(unchanged)) << name << " is not stored";
    }
  }
}

// Whatever defaults a build has.
TEST(ScoringKeys, WhatAFileDoesNotNameIsFrozen) {
  const ScoringConfig none = read_scoring(model_with(""));
  EXPECT_EQ(none.eval.context, 2048);
  EXPECT_EQ(none.eval.stride, 64);
  EXPECT_EQ(none.ttt.kind, TttKind::kNone);
  const ScoringConfig sgd = read_scoring(model_with("ttt.kind=\"sgd\"\n"));
  EXPECT_EQ(sgd.ttt.lr, 0.01);
  EXPECT_EQ(sgd.ttt.epochs, 1);
  EXPECT_NE(sgd.ttt.lr, TttConfig().lr) << "a default that equals the frozen value shows nothing";
}

TEST(ScoringKeys, AKeyOfWhatIsOffIsNotStored) {
  ScoringConfig config({});
  config.ttt.lora_rank = 3;
  config.mix.max_order = 5;
  EXPECT_EQ(write_scoring_keys(config), "");
}

TEST(ScoringKeys, TheBudgetIsTheCallersAndChangesNothingElse) {
  EvalConfig budget;
  budget.batch_tokens = 123;
  budget.wallclock_s = 7;
  budget.context = 5;
  const ScoringConfig config = read_scoring(model_with("eval.context=96\n"), budget);
  EXPECT_EQ(config.eval.batch_tokens, 123);
  EXPECT_EQ(config.eval.wallclock_s, 7);
  EXPECT_EQ(config.eval.context, 96);
}

TEST(ScoringKeys, DefectsAreOneClearLine) {
  const std::pair<const char*, const char*> defects[] = {
      {"eval.context=0\n", "eval.context is out of range: \"0\""},
      {"eval.stride=4096\n", "stride"},
      {"eval.windows=\"all\"\n", "eval.windows is out of range: \"all\""},
      {"ttt.kind=\"lora\"\nttt.lora_rank=0\n", "ttt.lora_rank is out of range"},
      {"mix.kind=\"oracle\"\n", "mix.kind is out of range: \"oracle\""},
      {"mix.max_order=5\n", "unknown key: \"mix.max_order\""},  // mixing is off
      {"eval.oracle=true\n", "unknown key: \"eval.oracle\""},
      {"eval.stride=64\n", "not written as this format writes them"},
      {"eval.stride", "damaged"},
  };
  for (const auto& [keys, error] : defects) {
    EXPECT_NE(error_of(keys).find(error), std::string::npos) << keys << error_of(keys);
    EXPECT_EQ(error_of(keys).find('\n'), std::string::npos);
  }
}

}  // namespace
}  // namespace pg
