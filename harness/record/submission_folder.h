// What is handed in to the challenge, made from a record of ours: its folder, file names and keys, without what a pull
// request has no room for (artifacts, tapes, coded text).
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "harness/record/seed_set.h"

namespace pg {

// Who hands it in and what it is called; empty for what the record says.
struct SubmissionNames {
  std::string author = {}, github_id = {}, name = {};
};

// The records that a folder holds: its own, or those of the seeds that `train_gpt seeds` made in it. Throws Error where
// it holds none that is finished.
std::vector<SeedPlace> list_seed_places(const std::filesystem::path& record);

struct Submission {
  std::filesystem::path folder;  // "records/track_10min_16mb/2026-03-24_Name"
  std::string submission_json, readme;
  int64_t most_model_bytes = 0;  // of the largest of the artifacts, without code
  int64_t scorer_bytes = 0;      // of the counted code, as the logs count it
  int64_t launcher_bytes = 0;    // of train_gpt.py, which stands for it here
  int64_t total_bytes() const { return most_model_bytes + std::max(scorer_bytes, launcher_bytes); }
};

// `launcher_bytes`: of the train_gpt.py that goes with it. Throws Error for what the challenge would not take: an
// artifact over 16,000,000 bytes with the larger of the two codes, a record without a date or a name.
Submission describe_submission(const std::vector<SeedPlace>& places, const SubmissionNames& names,
                               int64_t launcher_bytes);

// Writes README.md, submission.json, train_gpt.py, requirements.txt and a log a seed below `root`. Throws Error where
// something of that name is there already.
void write_submission(const std::filesystem::path& root, const std::vector<SeedPlace>& places,
                      const Submission& submission, const std::string& launcher);

}  // namespace pg
