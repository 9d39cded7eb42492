// What is handed in to the challenge: its names and keys, and sizes that count the larger of the two codes.
#include "harness/record/submission_folder.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "harness/record/record.h"
#include "harness/record/tape_chain.h"
#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/files/write_file.h"
#include "tests/harness/run_fixture.h"

namespace pg {
namespace {

namespace fs = std::filesystem;

class SubmissionFolder : public testing::Test {
 protected:
  // The record of a seed, as far as a submission reads it.
  fs::path add(int64_t seed, const std::function<void(RunResult&)>& change = {}) {
    RunResult result = make_result();
    result.recipe.train.seed = seed;
    result.recipe.record.name = "Wide <MLP> & more";
    result.recipe.track.name = "10min_16mb";
    result.date = "2026-03-24";
    result.score.bits_per_byte = 1 + 0.01 * static_cast<double>(seed);
    result.pack.code_bytes = 50'000;
    result.pack.total_bytes = 15'000'000 + seed;
    if (change) change(result);
    const fs::path folder = seed_folder(root_.path() / "set", seed);
    write_file_atomic(folder / "submission.json", write_submission_json(result));
    write_file_atomic(folder / "recipe.toml", write_recipe(result.recipe));
    write_file_atomic(folder / RunFolder::log_name(seed), "log of " + std::to_string(seed));
    TapeChain chain;
    write_file_atomic(
        folder / "tape.jsonl",
        chain.link(R"({"event":"start","tape_format":2,"train_sha256":"ab","val_sha256":"cd"})") +
            "\n");
    return folder;
  }
  static std::string error_of(const std::function<void()>& work) {
    try {
      work();
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  }

  TemporaryFolder root_;
};

TEST_F(SubmissionFolder, HasTheChallengesNamesAndKeys) {
  const std::vector<SeedPlace> places = {{1, add(1)}, {2, add(2)}, {3, add(3)}};
  const Submission s = describe_submission(places, {.author = "Me", .github_id = "me"}, 600'000);
  EXPECT_EQ(s.folder, "records/track_10min_16mb/2026-03-24_Wide_MLP_more");
  const auto json = nlohmann::json::parse(s.submission_json);
  EXPECT_EQ(json.at("author"), "Me");
  EXPECT_EQ(json.at("track"), "10min_16mb");
  EXPECT_DOUBLE_EQ(json.at("val_bpb").get<double>(), 1.02);
  EXPECT_EQ(json.at("seed_results").size(), 3);
  EXPECT_EQ(json.at("bytes_total"), 14'950'003 + 600'000);  // the launcher is the larger code
  EXPECT_EQ(json.at("bytes_code"), 600'000);
  EXPECT_EQ(json.at("bytes_code_scorer"), 50'000);
  EXPECT_NE(s.readme.find("# Wide &lt;MLP\\> &amp; more: 1.0200 bits per byte, std 0.0100 over 3"),
            std::string::npos)
      << s.readme;
  EXPECT_EQ(describe_submission(places, {}, 1000).total_bytes(), 15'000'003);

  write_submission(root_.path(), places, s, "launcher");
  for (const auto& [name, text] : {std::pair{"train_gpt.py", "launcher"},
                                   {"train_seed2.log", "log of 2"},
                                   {"README.md", s.readme.c_str()},
                                   {"submission.json", s.submission_json.c_str()}}) {
    EXPECT_EQ(read_text_file(root_.path() / s.folder / name), text);
  }
  EXPECT_NE(
      error_of([&] { write_submission(root_.path(), places, s, ""); }).find("is there already"),
      std::string::npos);
}

TEST_F(SubmissionFolder, CapHoldsForTheLargerCode) {
  const std::vector<SeedPlace> places = {{1, add(1)}};
  EXPECT_EQ(describe_submission(places, {}, 1'049'999).total_bytes(), 16'000'000);
  EXPECT_NE(error_of([&] { describe_submission(places, {}, 1'050'000); })
                .find("are 16,000,001 bytes, the challenge takes 16,000,000; train or pack with "
                      "quant.cap_bytes = 15000000"),
            std::string::npos);
}

TEST_F(SubmissionFolder, OneSeedHasNoDeviation) {
  const Submission s = describe_submission({{4, add(4)}}, {.name = "../up"}, 10);
  EXPECT_FALSE(nlohmann::json::parse(s.submission_json).contains("val_bpb_std"));
  EXPECT_EQ(s.readme.find("std 0.0"), std::string::npos);
  EXPECT_EQ(s.folder.filename(), "2026-03-24_.._up");
  EXPECT_EQ(s.folder.parent_path(), "records/track_10min_16mb");
}

TEST_F(SubmissionFolder, OtherTracksAreNoRecords) {
  const fs::path folder = add(5, [](RunResult& r) { r.recipe.track.name = "cpu_10min_1mb"; });
  const Submission s = describe_submission({{5, folder}}, {}, 10);
  EXPECT_EQ(s.folder.parent_path(), "records/track_non_record_16mb");
  EXPECT_EQ(nlohmann::json::parse(s.submission_json).at("track"), "non_record_16mb");
}

TEST_F(SubmissionFolder, RecordsAreFoundAloneAndInSets) {
  const fs::path folder = add(6);
  EXPECT_EQ(list_seed_places(folder).at(0).folder, folder);
  write_file_atomic(root_.path() / "set/submission.json", std::string("{\"seeds\": [6, 7]}"));
  EXPECT_EQ(list_seed_places(root_.path() / "set").at(1).folder, root_.path() / "set/seed_7");
  fs::remove(folder / "submission.json");
  EXPECT_NE(error_of([&] { list_seed_places(folder); }).find("no finished record in"),
            std::string::npos);
  write_file_atomic(folder / "submission.json", std::string("[]"));
  EXPECT_NE(error_of([&] { list_seed_places(folder); }).find("no JSON object"), std::string::npos);
}

TEST_F(SubmissionFolder, ALogThatIsALinkIsNotFollowed) {
  const fs::path folder = add(8);
  fs::remove(folder / "train_seed8.log");
  fs::create_symlink("/etc/passwd", folder / "train_seed8.log");
  const Submission s = describe_submission({{8, folder}}, {}, 10);
  EXPECT_NE(error_of([&] {
              write_submission(root_.path(), {{8, folder}}, s, "");
            }).find("is no plain file"),
            std::string::npos);
}

}  // namespace
}  // namespace pg
