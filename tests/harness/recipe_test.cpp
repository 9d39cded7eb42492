// Recipes: three sources, one table, exact round trips, and messages that say what to do.
#include "harness/recipe/recipe.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "harness/recipe/config_fields.h"
#include "harness/recipe/recipe_identity.h"
#include "harness/recipe/recipe_value.h"
#include "src/base/error.h"

namespace pg {
namespace {

std::string error_of_toml(const std::string& text) {
  Recipe recipe;
  try {
    apply_toml(recipe, text, "recipe.toml");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

std::string error_of_set(const std::string& assignment) {
  Recipe recipe;
  try {
    apply_override(recipe, assignment);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

EnvironmentLookup environment_of(const std::map<std::string, std::string>& variables) {
  return [&variables](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  };
}

// Gives every field a value that differs from its default and is awkward to print.
void disturb(Recipe& recipe) {
  visit_recipe_fields(recipe, [](const char*, const FieldInfo& info, auto& member) {
    using Member = std::decay_t<decltype(member)>;
    if constexpr (std::is_same_v<Member, int64_t>) {
      member += member + 1 <= static_cast<int64_t>(info.max) ? 1 : -1;
    } else if constexpr (std::is_same_v<Member, double>) {
      member = info.min + (info.max - info.min) * 0.1234567890123456789;
    } else if constexpr (std::is_same_v<Member, bool>) {
      member = !member;
    } else if constexpr (std::is_enum_v<Member>) {
      member = *find_choice<Member>(info.choices[member == Member{} ? 1 : 0]);
    } else {
      member = "a \"quoted\" \\ line\nbreak\t\x1b \xc3\xa9 # [x] = 1";
    }
  });
}

TEST(Recipe, CanonicalTextReadsBackToTheSameRecipe) {
  Recipe recipe;
  disturb(recipe);
  const std::string text = write_recipe(recipe);
  Recipe again;
  apply_toml(again, text, "recipe.toml");
  EXPECT_EQ(describe_difference(again, recipe), "");
  EXPECT_EQ(write_recipe(again), text);
  EXPECT_EQ(hash_recipe(again), hash_recipe(recipe));
  EXPECT_NE(hash_recipe(again), hash_recipe(Recipe{}));
}

TEST(Recipe, DefaultsRoundTripWithAndWithoutHelp) {
  for (const RecipeComments comments : {RecipeComments::kNone, RecipeComments::kHelp}) {
    Recipe again;
    disturb(again);
    apply_toml(again, write_recipe(Recipe{}, comments), "recipe.toml");
    EXPECT_EQ(describe_difference(again, Recipe{}), "");
  }
}

TEST(Recipe, EveryDefaultIsWithinItsRange) {
  Recipe recipe;
  EXPECT_NO_THROW(apply_toml(recipe, write_recipe(Recipe{}), "recipe.toml"));
}

TEST(Recipe, KeysAndEnvironmentNamesAreUnique) {
  std::set<std::string> keys, environment;
  const Recipe recipe;
  visit_recipe_fields(recipe, [&](const char* section, const FieldInfo& info, const auto&) {
    EXPECT_TRUE(keys.insert(std::string(section) + "." + info.key).second) << info.key;
    EXPECT_STRNE(info.help, "") << info.key;
    if (*info.env != '\0') {
      EXPECT_TRUE(environment.insert(info.env).second) << info.env;
    }
  });
  EXPECT_GT(keys.size(), 60u);
}

TEST(Recipe, UnknownKeyNamesTheNearest) {
  EXPECT_EQ(error_of_toml("[model]\nlayerz = 4\n"),
            "recipe.toml:2: unknown key: \"model.layerz\"; did you mean \"model.layers\"?");
  EXPECT_EQ(
      error_of_toml("[train]\nmatrix_lr = 0.1\n"),
      "recipe.toml:2: unknown key: \"train.matrix_lr\"; did you mean \"optimizer.matrix_lr\"?");
  EXPECT_EQ(error_of_toml("layerz = 4\n"),
            "recipe.toml:1: unknown key: \"layerz\"; did you mean \"model.layers\"?");
  EXPECT_EQ(error_of_set("qqqqqqq.wwwwwww=1"),
            "--set: unknown key: \"qqqqqqq.wwwwwww\"; see train_gpt recipe --help-keys");
}

TEST(Recipe, UnknownSectionNamesTheNearest) {
  EXPECT_EQ(error_of_toml("[modle]\nlayers = 4\n"),
            "recipe.toml:1: unknown section: \"modle\"; did you mean \"model\"?");
  EXPECT_EQ(error_of_toml("\n[zzzzzzzzz]\n"),
            "recipe.toml:2: unknown section: \"zzzzzzzzz\"; sections are track, data, model, "
            "train, optimizer, "
            "quant, eval, ttt, mix, record");
}

TEST(Recipe, WrongTypeIsAnError) {
  EXPECT_EQ(error_of_toml("[model]\nlayers = 4.0\n"),
            "recipe.toml:2: wrong type for model.layers: \"4.0\"; give an integer");
  EXPECT_EQ(error_of_toml("[model]\nlayers = \"4\"\n"),
            "recipe.toml:2: wrong type for model.layers: \"4\"; give an integer");
  EXPECT_EQ(error_of_toml("[model]\nln_scale = 1\n"),
            "recipe.toml:2: wrong type for model.ln_scale: \"1\"; give true or false");
  EXPECT_EQ(error_of_toml("[optimizer]\nmatrix_lr = inf\n"),
            "recipe.toml:2: wrong type for optimizer.matrix_lr: \"inf\"; give a number");
  EXPECT_EQ(error_of_toml("[model]\nlayers = [4]\n"),
            "recipe.toml:2: wrong type for model.layers: an array, table or date; give one number, "
            "text, true or false");
  EXPECT_EQ(error_of_set("train.seed=12x"),
            "--set: wrong type for train.seed: \"12x\"; give an integer");
  EXPECT_EQ(error_of_set("train.seed="), "--set: wrong type for train.seed: \"\"; give an integer");
  EXPECT_EQ(error_of_set("train.seed=99999999999999999999"),
            "--set: wrong type for train.seed: \"99999999999999999999\"; give an integer");
  EXPECT_EQ(error_of_set("track.name=\xff"),
            "--set: wrong type for track.name: \"\\xff\"; give UTF-8 text in quotes");
}

TEST(Recipe, OutOfRangeNamesRangeAndUnit) {
  EXPECT_EQ(error_of_set("train.wallclock_s=-1"),
            "--set: train.wallclock_s is out of range: \"-1\"; give 0 to 10000000 s");
  EXPECT_EQ(error_of_toml("[model]\nlayers = 400\n"),
            "recipe.toml:2: model.layers is out of range: \"400\"; give 1 to 128");
}

TEST(Recipe, BadChoiceNamesTheChoices) {
  EXPECT_EQ(error_of_toml("[data]\nloader = \"random\"\n"),
            "recipe.toml:2: data.loader is out of range: \"random\"; give one of "
            "sequential|coprime|shuffled|packed");
}

// The order of an enum's names is the order of its values.
TEST(Recipe, EveryChoiceIsReadAsTheValueOfItsName) {
  Recipe recipe;
  const auto read = [&recipe](const std::string& key, std::initializer_list<const char*> names,
                              const auto& member, auto... values) {
    const std::vector all = {values...};
    ASSERT_EQ(names.size(), all.size());
    size_t i = 0;
    for (const char* name : names) {
      apply_override(recipe, key + "=" + name);
      EXPECT_EQ(member, all[i++]) << key << " = " << name;
      EXPECT_NE(write_recipe(recipe).find(fmt::format("= \"{}\"\n", name)), std::string::npos);
    }
  };
  read("data.loader", {"sequential", "coprime", "shuffled", "packed"}, recipe.data.loader,
       Loader::kSequential, Loader::kCoprime, Loader::kShuffled, Loader::kPacked);
  read("train.warmdown_form", {"steps", "fraction"}, recipe.train.warmdown_form,
       WarmdownForm::kSteps, WarmdownForm::kFraction);
  read("train.warmdown_shape", {"linear", "cosine", "sqrt"}, recipe.train.warmdown_shape,
       WarmdownShape::kLinear, WarmdownShape::kCosine, WarmdownShape::kSqrt);
  read("train.average", {"none", "ema", "swa", "lawa", "ema_swa", "best"}, recipe.train.average,
       Average::kNone, Average::kEma, Average::kSwa, Average::kLawa, Average::kEmaSwa,
       Average::kBest);
  read("optimizer.newton_schulz", {"stock", "polar_express", "quintic", "turbo"},
       recipe.optimizer.newton_schulz, NewtonSchulz::kStock, NewtonSchulz::kPolarExpress,
       NewtonSchulz::kQuintic, NewtonSchulz::kTurbo);
  read("optimizer.newton_schulz_scaling", {"norm", "aol"}, recipe.optimizer.newton_schulz_scaling,
       NewtonSchulzScaling::kNorm, NewtonSchulzScaling::kAol);
  read("optimizer.normuon", {"off", "paper", "modded"}, recipe.optimizer.normuon, NorMuon::kOff,
       NorMuon::kPaper, NorMuon::kModded);
  read("quant.scales",
       {"sensitivity", "sdclip", "sdclip_hessian", "gptq_lite_row", "gptq_lite_matrix", "row_max",
        "ternary"},
       recipe.quant.scales, ScaleRule::kSensitivity, ScaleRule::kSdClip, ScaleRule::kSdClipHessian,
       ScaleRule::kGptqLiteRow, ScaleRule::kGptqLiteMatrix, ScaleRule::kRowMax,
       ScaleRule::kTernary);
  read("quant.rounding", {"nearest", "gptq"}, recipe.quant.rounding, Rounding::kNearest,
       Rounding::kGptq);
  read("eval.windows", {"stream", "document"}, recipe.eval.windows, Windows::kStream,
       Windows::kDocument);
  read("ttt.kind", {"none", "sgd", "phased", "lora", "phased_lora"}, recipe.ttt.kind,
       TttKind::kNone, TttKind::kSgd, TttKind::kPhased, TttKind::kLora, TttKind::kPhasedLora);
  read("ttt.lora_reset", {"none", "warm", "full"}, recipe.ttt.lora_reset, LoraReset::kNone,
       LoraReset::kWarm, LoraReset::kFull);
  read("mix.kind", {"none", "tilt", "linear", "logit", "cascade", "ppm"}, recipe.mix.kind,
       MixKind::kNone, MixKind::kTilt, MixKind::kLinear, MixKind::kLogit, MixKind::kCascade,
       MixKind::kPpm);
}

TEST(Recipe, AChoiceThatIsNoTextIsOfTheWrongType) {
  EXPECT_EQ(error_of_toml("[data]\nloader = 1\n"),
            "recipe.toml:2: wrong type for data.loader: \"1\"; give UTF-8 text in quotes");
}

TEST(Recipe, BrokenTomlNamesTheLine) {
  const std::string message = error_of_toml("[model]\nlayers = \n");
  EXPECT_EQ(message.substr(0, message.find(" Error")), "recipe.toml:2: not valid TOML:");
  EXPECT_NE(
      error_of_toml("[model]\nlayers = 2\nlayers = 3\n").find("recipe.toml:3: not valid TOML"),
      std::string::npos);
}

TEST(Recipe, SetWithoutValueIsAnError) {
  EXPECT_EQ(error_of_set("train.seed"),
            "--set: no value: \"train.seed\"; write --set section.key=value");
}

TEST(Recipe, HostileNamesCannotDriveTheTerminal) {
  EXPECT_EQ(error_of_toml("[model]\n\"\\u001b[31m\" = 1\n"),
            "recipe.toml:2: unknown key: \"model.\\x1b[31m\"; see train_gpt recipe --help-keys");
}

TEST(Recipe, SetWinsOverEnvironmentAndEnvironmentOverFile) {
  Recipe recipe;
  apply_toml(recipe, "[optimizer]\nmatrix_lr = 0.1\nscalar_lr = 0.1\nembed_lr = 0.1\n",
             "recipe.toml");
  const std::map<std::string, std::string> variables = {
      {"MATRIX_LR", "0.2"}, {"SCALAR_LR", "0.2"}, {"LN_SCALE", "0"}, {"PATH", "/bin"}};
  std::vector<RecipeOverride> overrides;
  apply_environment(recipe, environment_of(variables), overrides);
  overrides.push_back(apply_override(recipe, "optimizer.matrix_lr=0.3"));
  EXPECT_EQ(recipe.optimizer.matrix_lr, 0.3);
  EXPECT_EQ(recipe.optimizer.scalar_lr, 0.2);
  EXPECT_EQ(recipe.optimizer.embed_lr, 0.1);
  EXPECT_FALSE(recipe.model.ln_scale);
  ASSERT_EQ(overrides.size(), 4u);
  EXPECT_EQ(overrides[0].source + " " + overrides[0].key + " " + overrides[0].value,
            "LN_SCALE model.ln_scale 0");
  EXPECT_EQ(overrides[3].source, "--set");
}

TEST(Recipe, BadEnvironmentVariableIsNamed) {
  Recipe recipe;
  const std::map<std::string, std::string> variables = {{"MATRIX_LR", "high"}};
  std::vector<RecipeOverride> overrides;
  try {
    apply_environment(recipe, environment_of(variables), overrides);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "environment variable MATRIX_LR: wrong type for optimizer.matrix_lr: \"high\"; "
                 "give a number");
  }
}

TEST(Recipe, DifferenceNamesTheFirstKey) {
  Recipe now;
  now.train.seed = 42;
  EXPECT_EQ(describe_difference(now, Recipe{}), "train.seed is 42, was 1337");
}

TEST(Recipe, BitsByTheGradientNeedScalesThatHaveBits) {
  const auto error_of = [](const std::vector<std::string>& assignments) -> std::string {
    Recipe recipe;
    for (const std::string& assignment : assignments) apply_override(recipe, assignment);
    try {
      check_recipe(recipe);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_NE(error_of({"quant.gradient_bits=true"}).find("quant.scales"), std::string::npos);
  EXPECT_EQ(error_of({"quant.gradient_bits=true", "quant.scales=\"row_max\""}), "");
  const std::vector<std::string> with_late_qat = {"quant.scales=\"row_max\"",
                                                  "quant.fill_cap=false", "train.late_qat_lr=0.1"};
  EXPECT_EQ(error_of(with_late_qat), "");
  std::vector<std::string> both = with_late_qat;
  both.push_back("quant.gradient_bits=true");
  EXPECT_NE(error_of(both).find("quant.gradient_bits = false"), std::string::npos);
}

TEST(Recipe, KeysThatDoNotFitEachOtherAreRefused) {
  Recipe recipe;
  EXPECT_NO_THROW(check_recipe(recipe));
  recipe.train.micro_batch_tokens = recipe.train.seq_len + 1;
  EXPECT_THROW(check_recipe(recipe), Error);
  recipe = {};
  recipe.eval.stride = recipe.eval.context + 1;
  EXPECT_THROW(check_recipe(recipe), Error);
  recipe = {};
  recipe.optimizer.aurora_iterations = 2;
  recipe.optimizer.muon_row_norm = true;
  EXPECT_THROW(check_recipe(recipe), Error);
  recipe = {};
  recipe.model.dim = 500;
  EXPECT_THROW(check_recipe(recipe), Error);
  recipe = {};
  recipe.data.loader = Loader::kPacked;
  EXPECT_NO_THROW(check_recipe(recipe));
  recipe.model.memory_tokens = 2;
  EXPECT_THROW(check_recipe(recipe), Error);
  recipe = {};
  recipe.train.seq_len_growth = "1024@0.1,2048@0.7";
  EXPECT_THROW(check_recipe(recipe), Error);
}

TEST(Recipe, HelpListsEveryKeyWithItsFacts) {
  const std::string help = describe_recipe_keys(1000);
  EXPECT_NE(help.find("(default 0.025, 0 to 10, environment MATRIX_LR)"), std::string::npos);
  EXPECT_NE(help.find("0 to 10000000 s, environment MAX_WALLCLOCK_SECONDS"), std::string::npos);
}

TEST(Recipe, HelpFitsItsColumns) {
  for (const int64_t columns : {80, 100}) {
    std::istringstream help(describe_recipe_keys(columns));
    for (std::string line; std::getline(help, line);) {
      EXPECT_LE(line.size(), static_cast<size_t>(columns)) << line;
    }
  }
}

TEST(Recipe, TextInQuotesIsReadAsTomlReadsIt) {
  const std::pair<const char*, const char*> kCases[] = {
      {"record.name=\"x y\"", "x y"},
      {"record.name='x y'", "x y"},
      {"record.name=x y", "x y"},
      {"record.name=\"a\\tb\"", "a\tb"},
      {"record.name='a\\tb'", "a\\tb"},
      {"record.name=\"", "\""},
      {"record.name=the \"best\"", "the \"best\""},
      {"record.name=\"\"", ""},
  };
  for (const auto& [assignment, name] : kCases) {
    Recipe recipe;
    apply_override(recipe, assignment);
    EXPECT_EQ(recipe.record.name, name) << assignment;
  }
  Recipe recipe;
  apply_override(recipe, "ttt.kind=\"lora\"");
  EXPECT_EQ(recipe.ttt.kind, TttKind::kLora);
  EXPECT_THROW(apply_override(recipe, "record.name=\"a\" and \"b\""), Error);
  EXPECT_THROW(apply_override(recipe, "record.name=\"a\"\nb = \"c\""), Error);
  std::vector<RecipeOverride> overrides;
  apply_environment(
      recipe,
      [](const char* name) { return std::string_view(name) == "RUN_ID" ? "\"n\"" : nullptr; },
      overrides);
  EXPECT_EQ(recipe.record.name, "n");
}

TEST(Recipe, ATrainingOfNothingIsRefused) {
  Recipe recipe;
  EXPECT_THROW(apply_override(recipe, "train.max_steps=0"), Error);
}

}  // namespace
}  // namespace pg
