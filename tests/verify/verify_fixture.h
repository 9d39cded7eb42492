// A record folder with nothing to find, to be spoilt one fault at a time: three seeds of a run in the
// first public script's dialect.
#pragma once
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "harness/verify/finding.h"
#include "harness/verify/verify_folder.h"

namespace pg {

struct LogWords {
  std::string seed = "42";
  double val_bpb = 1.1194;
  int64_t stop_ms = 599900, total_bytes = 15900000, code_bytes = 50000;
  int64_t world_size = 8, val_tokens = 62021632;
  double bytes_per_token = 2.435938;
  double eval_s = 120;
  std::string before_final, behind;  // further lines
};

std::string make_log(const LogWords& words);

// Seeds 42, 1337, 2025 and what their logs end in.
struct SeedWords {
  const char* seed;
  double val_bpb;
};
inline constexpr SeedWords kSeedWords[] = {
    {"42", 1.11930000}, {"1337", 1.11950000}, {"2025", 1.11940000}};
inline constexpr const char* kMeanBpb = "1.1194";

class VerifyTest : public testing::Test {
 protected:
  // The folder's place below a temporary one.
  explicit VerifyTest(const std::string& place = "records/track_10min_16mb/2026-03-24_Wide");
  ~VerifyTest() override;
  VerifyTest(const VerifyTest&) = delete;
  VerifyTest& operator=(const VerifyTest&) = delete;

  const std::filesystem::path& path() const { return path_; }
  // Writes a file of the folder, with the folders it lies in.
  void write(const std::string& name, const std::string& text) const;
  std::string read(const std::string& name) const;
  void replace(const std::string& name, const std::string& from, const std::string& to) const;
  void append(const std::string& name, const std::string& text) const {
    write(name, read(name) + text);
  }
  void remove(const std::string& name) const { std::filesystem::remove(path_ / name); }
  // The log of a seed, written anew.
  void write_log(const LogWords& words) const {
    write("train_seed" + words.seed + ".log", make_log(words));
  }
  // All three logs with `change` made to each.
  template <class Change>
  void write_logs(Change change) const {
    for (const SeedWords& seed : kSeedWords) {
      LogWords words;
      words.seed = seed.seed;
      words.val_bpb = seed.val_bpb;
      change(words);
      write_log(words);
    }
  }
  // A member of submission.json, as JSON text; "" takes it out.
  void set(const std::string& key, const std::string& json) const;

  std::vector<Finding> verify(const VerifyOptions& options = {}) const;
  // The severity of a code, or "" where it is not found.
  std::string find(const std::string& code, const VerifyOptions& options = {}) const;
  std::string verdict() const { return std::string(folder_verdict(verify())); }

 private:
  std::filesystem::path root_, path_;
};

}  // namespace pg
