// Suites of ablations: their files, what they plan, and what their runs say.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "harness/ablate/ablation_plan.h"
#include "harness/ablate/ablation_results.h"
#include "harness/record/seed_set.h"
#include "harness/record/tape_chain.h"
#include "src/base/error.h"
#include "src/files/write_file.h"
#include "src/train/phases.h"
#include "tests/harness/run_fixture.h"

namespace pg {
namespace {

constexpr const char* kSuite = R"([suite]
name = "one"
recipe = "r.toml"
sets = ["eval.exact_share=0"]
seeds = [5]
base_seeds = [5, 6, 7]
equal = "steps"
steps = 100
[[arm]]
name = "slope"
sets = ["model.leaky_slope=0.75"]
published_delta = -0.0018
published_unit = "bpb"
published_in = "a sweep"
[[arm]]
name = "steeper"
against = "slope"
sets = ["model.leaky_slope=0.9"]
note = "More of it."
)";

std::string with(const std::string& from, const std::string& to) {
  std::string text = kSuite;
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

std::string error_of(const std::string& text) {
  try {
    read_suite(text, "s.toml");
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

// A recipe as a file might say, with the keys over it.
Recipe load(const std::vector<std::string>& sets) {
  Recipe recipe = make_result().recipe;
  recipe.train.batch_tokens = 4096;
  recipe.train.micro_batch_tokens = 4096;
  recipe.train.seq_len = 256;
  for (const std::string& set : sets) apply_override(recipe, set);
  return recipe;
}

TEST(AblationSuite, IsReadAsItIsWritten) {
  const AblationSuite suite = read_suite(kSuite, "s.toml");
  EXPECT_EQ(suite.name, "one");
  EXPECT_EQ(suite.equal, EqualBy::kSteps);
  EXPECT_EQ(suite.base_seeds, (std::vector<int64_t>{5, 6, 7}));
  ASSERT_EQ(suite.arms.size(), 2u);
  EXPECT_EQ(suite.arms[0].published->delta, -0.0018);
  EXPECT_EQ(suite.arms[0].published->source, "a sweep");
  EXPECT_EQ(suite.arms[1].against, "slope");
  EXPECT_FALSE(suite.arms[1].published);
}

TEST(AblationSuite, RefusesWhatIsNoneWithItsLine) {
  const std::pair<std::string, const char*> cases[] = {
      {with("equal = \"steps\"", "equal = \"time\""),
       "s.toml:7: unknown equal: \"time\"; use steps"},
      {with("steps = 100", "step = 100"), "s.toml:1: [suite] has no steps"},
      {with("steps = 100", "steps = 0"), "steps of [suite] is out of range: \"0\""},
      {with("steps = 100", "steps = 100\nstops = 3"), "did you mean \"steps\"?"},
      {with("[5]", "[]"), "[suite] has no seeds"},
      {with("[5, 6, 7]", "[6, 7]"), "base_seeds lacks \"5\""},
      {with("[5, 6, 7]", "[5, 5]"), "\"5\" is no seed, or stands there twice"},
      {with("\"steeper\"", "\"slope\""), "s.toml:16: a second arm \"slope\""},
      {with("\"steeper\"", "\"../slope\""), "no name for an arm: \"../slope\""},
      {with("\"steeper\"", "\"base\""), "no name for an arm: \"base\""},
      {with("against = \"slope\"", "against = \"steeper\""), "against: no arm \"steeper\" above"},
      {with("model.leaky_slope=0.75", "train.max_steps=9"), "is for the suite to say"},
      {with("eval.exact_share=0", "train.seed=9"), "is for the suite to say"},
      {with("model.leaky_slope=0.75", "model.leaky_slope"), "no value: \"model.leaky_slope\""},
      {with("published_unit = \"bpb\"\n", ""), "no unit that is known: \"\"; give"},
      {with("published_delta = -0.0018\n", ""), "has no published_delta"},
      {with("name = \"one\"", "name = 1"), "wrong type for name"},
      {with("[suite]", "[sweet]"), "unknown table: \"sweet\""},
      {"[suite", "not valid TOML"},
      {"", "it has no [suite]"}};
  for (const auto& [text, said] : cases) {
    EXPECT_NE(error_of(text).find(said), std::string::npos) << said << "\n" << error_of(text);
  }
}

TEST(AblationSuite, ChangesOfWhatWasRunAreNamed) {
  const AblationSuite before = read_suite(kSuite, "s.toml");
  const auto change = [&](const std::string& from, const std::string& to,
                          const std::vector<std::string>& renewed = {}) {
    return find_suite_change(before, read_suite(with(from, to), "s.toml"), renewed);
  };
  EXPECT_EQ(change("one", "two"), "");
  EXPECT_EQ(change("[5]", "[5, 6]"), "");
  EXPECT_EQ(change("More of it.", "Less."), "");
  EXPECT_EQ(change("steps = 100", "steps = 101"), "steps is 101, was 100");
  EXPECT_EQ(change("equal = \"steps\"", "equal = \"cost\""), "equal is \"cost\", was \"steps\"");
  EXPECT_EQ(change("[5, 6, 7]", "[5, 6]"), "base_seeds lacks 7, which was run");
  EXPECT_EQ(change("slope=0.9", "slope=0.8"),
            "arm \"steeper\" has the keys model.leaky_slope=0.8, had model.leaky_slope=0.9");
  EXPECT_EQ(change("slope=0.9", "slope=0.8", {"steeper"}), "");
  EXPECT_EQ(change("\"steeper\"", "\"steepest\""), "arm \"steeper\" is gone");
}

TEST(AblationPlan, EqualStepsAreTheSuites) {
  const AblationSuite suite = read_suite(kSuite, "s.toml");
  const std::vector<PlannedArm> plan = plan_suite(suite, load, {});
  ASSERT_EQ(plan.size(), 3u);
  EXPECT_TRUE(plan[0].is_base());
  EXPECT_EQ(plan[0].seeds, suite.base_seeds);
  for (const PlannedArm& arm : plan) {
    EXPECT_EQ(arm.recipe.train.max_steps, 100);
    EXPECT_EQ(arm.recipe.train.wallclock_s, 0);
    EXPECT_EQ(arm.tokens, 100 * 4096);
  }
  EXPECT_EQ(plan[2].recipe.model.leaky_slope, 0.9);
}

TEST(AblationPlan, EqualTokensGiveArmsThatReadMoreFewerSteps) {
  const auto tokens = [](const char* keys) {
    const AblationSuite suite =
        read_suite(std::string(with("equal = \"steps\"", "equal = \"tokens\"")) +
                       "[[arm]]\nname = \"bags\"\nsets = [" + keys + "]\n",
                   "s.toml");
    return plan_suite(suite, load, {}).back();
  };
  // 30 % of the steps read four times the text: 1.9 times in all.
  const PlannedArm bags =
      tokens("\"train.bag_targets=4\", \"train.bag_inputs=true\", \"train.bag_fraction=0.3\"");
  EXPECT_EQ(bags.steps, 52);
  EXPECT_EQ(bags.tokens, 100 * 4096);  // 16 * 4 + 36: the 17th begins at 0.3 of 52
  EXPECT_EQ(tokens("\"train.batch_tokens=8192\"").steps, 50);
  const PlannedArm out = tokens("\"train.bag_targets=4\", \"train.bag_fraction=0.3\"");
  EXPECT_EQ(out.steps, 100);  // predicts bags, reads single tokens
}

TEST(AblationPlan, TokensReadAreTheTrainers) {
  for (const int64_t steps : {1, 7, 10, 53, 240}) {
    for (const double fraction : {0.0, 0.1, 0.3, 0.5, 1.0}) {
      Recipe recipe = load({"train.bag_targets=4", "train.bag_inputs=true"});
      recipe.train.max_steps = steps;
      recipe.train.bag_fraction = fraction;
      Phases phases(recipe.model, recipe.train);
      int64_t windows = 0;
      for (int64_t done = 0; done < steps; ++done) {  // as the trainer asks before each step
        phases.advance(done, static_cast<double>(done) / static_cast<double>(steps));
        windows += 16 * phases.bag(phases.now());
      }
      EXPECT_EQ(count_tokens_read(recipe), windows * 256) << steps << " " << fraction;
    }
  }
}

TEST(AblationPlan, EqualCostFollowsFromWhatWasMeasuredOnce) {
  const AblationSuite suite = read_suite(with("equal = \"steps\"", "equal = \"cost\""), "s.toml");
  std::vector<PlannedArm> plan = plan_suite(suite, load, {});
  EXPECT_EQ(plan[0].steps, 100);
  EXPECT_EQ(plan[1].steps, 0);  // not known yet
  const StepTable table = {{"slope", settle_steps(100, {1.3, 1.2, 1.25})}};
  const TemporaryFolder folder;
  write_file_atomic(folder.path() / "steps.json", write_step_table(suite, table));
  plan = plan_suite(suite, load, read_step_table(folder.path() / "steps.json"));
  EXPECT_EQ(plan[1].steps, 80);
  EXPECT_EQ(plan[1].recipe.train.max_steps, 80);
  EXPECT_EQ(plan[2].steps, 0);
  EXPECT_TRUE(read_step_table(folder.path() / "none.json").empty());
  write_file_atomic(folder.path() / "steps.json", std::string_view("{\"arms\": {\"a\": 3}}"));
  EXPECT_THROW(read_step_table(folder.path() / "steps.json"), Error);
}

TEST(AblationPlan, ACostThatCannotBeToldFromTheBasesIsTheBases) {
  EXPECT_EQ(settle_steps(100, {0.98, 1.03, 1.02}).steps, 100);
  EXPECT_EQ(settle_steps(100, {0.98, 1.03, 1.02}).ratio, 1.02);
  EXPECT_EQ(settle_steps(100, {1.01, 1.03, 1.02}).steps, 98);
  EXPECT_EQ(settle_steps(100, {0.5, 0.4}).ratio, 0.45);
  EXPECT_EQ(settle_steps(3, {100.0}).steps, 1);
}

TEST(AblationPlan, AnArmThatTrainsAlikeNeedsNoMeasure) {
  const AblationSuite suite =
      read_suite(std::string(with("equal = \"steps\"", "equal = \"cost\"")) +
                     "[[arm]]\nname = \"stride\"\nsets = [\"eval.stride=32\"]\n",
                 "s.toml");
  EXPECT_EQ(plan_suite(suite, load, {}).back().steps, 100);
}

TEST(AblationPlan, WhatTheClockWouldDecideIsRefused) {
  const auto error_of_plan = [](const std::string& text) -> std::string {
    try {
      plan_suite(read_suite(text, "s.toml"), load, {});
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_NE(error_of_plan(with("eval.exact_share=0", "eval.stride=64"))
                .find("the base: eval.wallclock_s \"600\" with eval.exact_share"),
            std::string::npos);
  EXPECT_EQ(error_of_plan(with("eval.exact_share=0", "eval.wallclock_s=0")), "");
  EXPECT_NE(
      error_of_plan(with("leaky_slope=0.9", "leaky_slop=0.9")).find("arm \"steeper\": --set:"),
      std::string::npos);
}

TEST(AblationPlan, ARunOfOtherKeysIsNotTheArm) {
  const AblationSuite suite = read_suite(kSuite, "s.toml");
  const std::vector<PlannedArm> plan = plan_suite(suite, load, {});
  const Recipe& base = plan[0].recipe;
  EXPECT_EQ(find_arm_problem(suite, &suite.arms[0], {}, base, plan[1].recipe), "");
  EXPECT_EQ(find_arm_problem(suite, nullptr, {}, base, base), "");
  EXPECT_NE(find_arm_problem(suite, &suite.arms[0], {}, base, base), "");
  Recipe more = plan[1].recipe;
  more.optimizer.matrix_lr = 0.5;
  EXPECT_EQ(find_arm_problem(suite, &suite.arms[0], {}, base, more),
            "optimizer.matrix_lr is 0.5, which the suite does not ask for");
  more = plan[1].recipe;
  more.train.log_every = 77;  // shows
  more.data.train_shards = "elsewhere";
  EXPECT_EQ(find_arm_problem(suite, &suite.arms[0], {}, base, more), "");
  more = plan[1].recipe;
  more.train.max_steps = 200;
  EXPECT_NE(find_arm_problem(suite, &suite.arms[0], {}, base, more).find("train.max_steps is 200"),
            std::string::npos);
}

TEST(AblationPlan, ARunOfOtherStepsIsNotTheArm) {
  const AblationSuite suite = read_suite(with("equal = \"steps\"", "equal = \"cost\""), "s.toml");
  const StepTable measured = {{"slope", settle_steps(100, {1.25})}};
  const std::vector<PlannedArm> plan = plan_suite(suite, load, measured);
  const auto problem = [&](int64_t steps) {
    Recipe run = plan[1].recipe;
    run.train.max_steps = steps;
    return find_arm_problem(suite, &suite.arms[0], measured, plan[0].recipe, run);
  };
  EXPECT_EQ(problem(80), "");
  EXPECT_EQ(problem(100), "train.max_steps is 100, was 80 as the suite has it");
  const AblationSuite tokens =
      read_suite(with("equal = \"steps\"", "equal = \"tokens\""), "s.toml");
  EXPECT_EQ(find_arm_problem(tokens, &tokens.arms[0], {}, plan[0].recipe, plan[1].recipe),
            "train.max_steps is 80, was 100 as the suite has it");
}

class AblationResultsTest : public testing::Test {
 protected:
  void write_run(const std::string& arm, int64_t seed, double bits,
                 const std::string& data = "ab") {
    const auto planned = std::ranges::find(plan_, arm, &PlannedArm::name);
    RunResult result = make_result();
    result.recipe = planned->recipe;
    result.recipe.train.seed = seed;
    result.score.bits_per_byte = bits;
    result.score.loss_nats = 2 * bits;
    const auto folder = arm_folder(folder_.path(), arm, seed);
    std::filesystem::create_directories(folder);
    write_file_atomic(folder / "submission.json", write_submission_json(result));
    write_file_atomic(folder / "recipe.toml", write_recipe(result.recipe));
    TapeChain chain;
    write_file_atomic(folder / "tape.jsonl",
                      chain.link(R"({"event":"start","tape_format":2,"train_sha256":")" + data +
                                 R"(","val_sha256":"cd"})") +
                          "\n");
  }
  AblationResults collect() const { return collect_results(folder_.path(), plan_, {}); }

  TemporaryFolder folder_;
  AblationSuite suite_ = read_suite(kSuite, "s.toml");
  std::vector<PlannedArm> plan_ = plan_suite(suite_, load, {});
};

TEST_F(AblationResultsTest, ArmsAreComparedSeedBySeed) {
  write_run("base", 5, 1.25);
  write_run("base", 6, 1.5);
  write_run("base", 7, 1.0);
  write_run("slope", 5, 0.0);
  const AblationResults results = collect();
  EXPECT_EQ(results.finished_runs(), 4);
  EXPECT_EQ(results.planned_runs(), 5);
  const ArmResult& slope = results.arms[1];
  EXPECT_EQ(slope.delta->mean, -1.25);  // with the run of its seed, not with the mean
  EXPECT_EQ(slope.delta_seeds, std::vector<int64_t>{5});
  EXPECT_EQ(slope.delta->source, ErrorSource::kBaseSpread);
  // 4.3027 * sqrt(2) * 0.25 = 1.521: no such delta is visible.
  EXPECT_FALSE(slope.delta->is_visible());
  EXPECT_EQ(slope.verdict, PublishedVerdict::kUndecided);
  EXPECT_NE(describe_learnt(slope).find("cannot be told from the base"), std::string::npos);
  EXPECT_EQ(describe_learnt(results.arms[2]), "It has not been run.");
}

TEST_F(AblationResultsTest, VerdictsAndWhatIsComparedWithAnArm) {
  write_run("base", 5, 1.25);
  write_run("base", 6, 1.26);
  write_run("slope", 5, 1.0);
  write_run("steeper", 5, 1.5);
  AblationResults results = collect();
  EXPECT_TRUE(results.arms[1].delta->is_visible());
  EXPECT_EQ(results.arms[1].verdict, PublishedVerdict::kAgrees);
  EXPECT_EQ(results.arms[2].delta->mean, 0.5);  // against slope
  EXPECT_NE(describe_learnt(results.arms[2]).find("worse than slope: +0.5000"), std::string::npos)
      << describe_learnt(results.arms[2]);
  write_run("slope", 5, 1.9);
  results = collect();
  EXPECT_EQ(results.arms[1].verdict, PublishedVerdict::kContradicts);
  const auto json = nlohmann::json::parse(write_ablation_json(suite_, results));
  EXPECT_EQ(json.at("arms").at(1).at("published").at("verdict"), "contradicts");
  EXPECT_EQ(json.at("arms").at(1).at("delta").at("mean_bpb"), 1.9 - 1.25);
  EXPECT_EQ(json.at("arms").at(2).at("delta").at("against"), "slope");
  const std::string readme = write_ablation_readme(suite_, results);
  EXPECT_NE(readme.find("| -0.0018 bpb: contradicts |"), std::string::npos) << readme;
  EXPECT_NE(readme.find("| 5: +0.6500 | +0.6500 ± "), std::string::npos) << readme;
}

TEST_F(AblationResultsTest, AnArmThatDoesNothingIsZeroExactly) {
  write_run("base", 5, 1.25);
  write_run("slope", 5, 1.25);
  const AblationResults results = collect();
  EXPECT_NE(describe_learnt(results.arms[1]).find("changes nothing"), std::string::npos);
  EXPECT_NE(write_ablation_readme(suite_, results).find("| 0 exactly |"), std::string::npos);
}

TEST_F(AblationResultsTest, RowsOfTheTableHaveItsColumns) {
  write_run("base", 5, 1.25);
  write_run("slope", 5, 1.0);
  const std::string readme = write_ablation_readme(suite_, collect());
  size_t rows = 0;
  for (size_t at = readme.find("## Arms"); (at = readme.find("\n| ", at)) != std::string::npos;) {
    const std::string row = readme.substr(at + 1, readme.find('\n', at + 1) - at - 1);
    EXPECT_EQ(std::ranges::count(row, '|'), 13) << row;
    at += 2;
    ++rows;
  }
  EXPECT_EQ(rows, 3u);  // the head and two arms, one of which has not been run
}

TEST_F(AblationResultsTest, RunsOfOtherTextOrKeysAreRefused) {
  write_run("base", 5, 1.25);
  write_run("slope", 5, 1.0, "other");
  const auto error = [&]() -> std::string {
    try {
      collect();
    } catch (const Error& failure) {
      return failure.what();
    }
    return "";
  };
  EXPECT_NE(error().find("arm \"slope\", seed 5, was run with another training text"),
            std::string::npos);
  write_run("slope", 5, 1.0);
  EXPECT_EQ(error(), "");
  plan_[1].recipe.model.leaky_slope = 0.7;
  EXPECT_NE(error().find("model.leaky_slope is 0.7, was 0.75"), std::string::npos) << error();
}

TEST_F(AblationResultsTest, BarsShowEveryArmAndItsPublishedFigure) {
  suite_.name = "a <b>";
  write_run("base", 5, 1.25);
  write_run("base", 6, 1.26);
  write_run("slope", 5, 1.0);
  const std::string svg = draw_ablation_bars(suite_, collect());
  EXPECT_EQ(svg, draw_ablation_bars(suite_, collect()));
  EXPECT_NE(svg.find("class=\"better\""), std::string::npos);
  EXPECT_NE(svg.find("class=\"published\""), std::string::npos);
  EXPECT_NE(svg.find(">steeper</text>"), std::string::npos);
  EXPECT_NE(svg.find(">not run</text>"), std::string::npos);
  EXPECT_NE(svg.find("a &lt;b&gt;"), std::string::npos);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
}

}  // namespace
}  // namespace pg
