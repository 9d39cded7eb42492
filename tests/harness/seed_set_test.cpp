// The table of several seeds from the records of each.
#include "harness/record/seed_set.h"

#include <gtest/gtest.h>

#include <array>
#include <nlohmann/json.hpp>

#include "harness/record/tape_chain.h"
#include "harness/statistics/run_set.h"
#include "src/base/error.h"
#include "src/files/write_file.h"
#include "tests/harness/run_fixture.h"

namespace pg {
namespace {

const std::vector<int64_t> kSeeds = {5, 6, 7};

class SeedSetTest : public testing::Test {
 protected:
  SeedSetTest() {
    for (size_t i = 0; i < kSeeds.size(); ++i) {
      RunResult result = make_result();
      result.recipe.train.seed = kSeeds[i];
      result.score.bits_per_byte = kBits[i];
      result.score.loss_nats = 2 * kBits[i];
      result.pack.total_bytes = 900000 + 10 * kSeeds[i];
      result.times.eval_s = static_cast<double>(kSeeds[i]);
      write_seed(result);
    }
  }
  void write_seed(const RunResult& result, const std::string& train_data = "ab") {
    const auto folder = seed_folder(folder_.path(), result.recipe.train.seed);
    std::filesystem::create_directories(folder);
    write_file_atomic(folder / "submission.json", write_submission_json(result));
    write_file_atomic(folder / "recipe.toml", write_recipe(result.recipe));
    TapeChain chain;
    write_file_atomic(folder / "tape.jsonl",
                      chain.link(R"({"event":"start","tape_format":2,"train_sha256":")" +
                                 train_data + R"(","val_sha256":"cd"})") +
                          "\n");
  }
  std::string error_of(const std::vector<int64_t>& seeds) const {
    try {
      describe_seed_set(folder_.path(), seeds);
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  }

  static constexpr std::array kBits = {1.25, 1.5, 1.0};
  TemporaryFolder folder_;
};

TEST_F(SeedSetTest, MeansDeviationsAndTheLargestArtifact) {
  const SeedSet set = describe_seed_set(folder_.path(), kSeeds);
  const auto json = nlohmann::json::parse(set.submission_json);
  EXPECT_EQ(json.at("val_bpb"), 1.25);
  EXPECT_EQ(json.at("val_loss"), 2.5);
  EXPECT_EQ(json.at("val_bpb_std"), 0.25);  // of n - 1
  EXPECT_NEAR(json.at("val_bpb_std_population").get<double>(), std::sqrt(0.125 / 3), 1e-15);
  EXPECT_EQ(json.at("artifact_bytes_max"), 900070);
  EXPECT_EQ(json.at("bytes_total"), 900070);
  EXPECT_EQ(json.at("artifact_bytes_mean"), 900060);
  EXPECT_EQ(json.at("eval_time_s_max"), 7);
  EXPECT_EQ(json.at("seeds"), nlohmann::json(kSeeds));
  EXPECT_EQ(json.at("seed_results").at("6").at("val_bpb"), 1.5);
  EXPECT_EQ(json.at("logs").at("6"), "train_seed6.log");
  EXPECT_TRUE(json.at("compliance").at("three_seeds").get<bool>());
  EXPECT_NE(
      set.readme.find(
          "1.2500 bits per byte, std 0.2500 over 3 seeds, artifacts of at most 900,070 bytes"),
      std::string::npos)
      << set.readme;
  // What `compare` reads of it.
  EXPECT_EQ(parse_run_set(set.submission_json).value().bits_per_byte(),
            std::vector<double>(kBits.begin(), kBits.end()));
  const auto two = nlohmann::json::parse(describe_seed_set(folder_.path(), {5, 6}).submission_json);
  EXPECT_FALSE(two.at("compliance").at("three_seeds").get<bool>());
}

TEST_F(SeedSetTest, ASetKeepsARuleOnlyWhereEverySeedDoes) {
  RunResult over = make_result();
  over.recipe.train.seed = 6;
  over.pack.total_bytes = over.pack.cap_bytes + 1;
  write_seed(over);
  const auto json =
      nlohmann::json::parse(describe_seed_set(folder_.path(), kSeeds).submission_json);
  EXPECT_FALSE(json.at("compliance").at("artifact_under_cap").get<bool>());
  EXPECT_TRUE(json.at("compliance").at("artifact_under_16mb").get<bool>());
}

TEST_F(SeedSetTest, SeedsOfDifferentThingsMakeNoSet) {
  EXPECT_EQ(error_of(kSeeds), "");
  RunResult other = make_result();
  other.recipe.train.seed = 6;
  write_seed(other, "other");
  EXPECT_NE(error_of(kSeeds).find("seed 6 was run with another training text than seed 5"),
            std::string::npos);
  other.recipe.track.name = "another";
  write_seed(other);
  EXPECT_NE(error_of(kSeeds).find("another track"), std::string::npos);
  write_file_atomic(seed_folder(folder_.path(), 6) / "submission.json",
                    std::string_view("{\"seed_results\": 3}"));
  EXPECT_NE(error_of(kSeeds).find("the record of seed 6 is damaged"), std::string::npos);
  EXPECT_NE(error_of({5, 9}), "");
}

TEST_F(SeedSetTest, ASeedIsFinishedByItsOwnRecipeAlone) {
  Recipe recipe = make_result().recipe;
  recipe.train.seed = 5;
  const auto folder = seed_folder(folder_.path(), 5);
  EXPECT_TRUE(is_seed_finished(folder, recipe));
  recipe.train.log_every = 77;  // shows
  EXPECT_TRUE(is_seed_finished(folder, recipe));
  recipe.optimizer.matrix_lr = 0.5;
  EXPECT_THROW(is_seed_finished(folder, recipe), Error);
  std::filesystem::remove(folder / "submission.json");
  EXPECT_FALSE(is_seed_finished(folder, recipe));  // whoever runs it refuses another recipe
}

}  // namespace
}  // namespace pg
