// Logs that are known from elsewhere, folder names, and folders that are verified together.
#include <fmt/format.h>

#include <fstream>

#include "src/base/error.h"
#include "src/base/hash.h"
#include "tests/verify/verify_fixture.h"

namespace pg {
namespace {

using ContextRules = VerifyTest;

std::string hash_of(const std::string& text) {
  return hex(sha256({reinterpret_cast<const uint8_t*>(text.data()), text.size()}));
}

class KnownLogsTest : public VerifyTest {
 protected:
  // A line of the table for a log of the folder.
  std::string row(const std::string& log, int64_t first_pr, const std::string& folder) const {
    const std::string hash = hash_of(read(log));
    return fmt::format("{}\t{}\t100\t{}\t{}\t{}\n", hash, hash, first_pr, folder, log);
  }
  static VerifyOptions with(const std::string& table) {
    VerifyOptions options;
    options.known = KnownLogs::from_text(
        "sha256_committed\tsha256_kept\tbytes\tfirst_pr\tfolder\tfile\n" + table, "index.tsv");
    return options;
  }
  std::string all(int64_t first_pr, const std::string& folder) const {
    std::string rows;
    for (const SeedWords& seed : kSeedWords) {
      rows += row(fmt::format("train_seed{}.log", seed.seed), first_pr, folder);
    }
    return rows;
  }
};

TEST_F(KnownLogsTest, LogsOfAnEarlierRecordAreCopied) {
  EXPECT_EQ(find("log_copied_other", with(all(12, "track_10min_16mb/2026-03-20_Deep"))), "reject");
  EXPECT_EQ(find("log_copied_other", with(all(12, "track_10min_16mb/2026-03-24_Wide"))), "");
  EXPECT_EQ(find("log_copied_other", with("")), "");
}

TEST_F(KnownLogsTest, OneLogOfAnotherFolderIsShared) {
  const VerifyOptions options =
      with(row("train_seed42.log", 12, "track_10min_16mb/2026-03-20_Deep") +
           row("train_seed1337.log", 20, "track_10min_16mb/2026-03-24_Wide"));
  EXPECT_EQ(find("log_shared_own", options), "note");
  EXPECT_EQ(find("log_copied_other", options), "");
}

TEST_F(KnownLogsTest, LogsOfAnEarlierRecordOfTheSameWordsAreItsAuthors) {
  const auto with_old = [&](const char* old_folder) {
    return with(row("train_seed42.log", 12, old_folder) +
                row("train_seed1337.log", 12, old_folder) +
                row("train_seed2025.log", 20, "track_10min_16mb/2026-03-24_Wide"));
  };
  EXPECT_EQ(find("log_copied_other", with_old("track_10min_16mb/2026-03-20_NineLayers")), "");
  EXPECT_EQ(find("log_shared_own", with_old("track_10min_16mb/2026-03-20_NineLayers")), "note");
  EXPECT_EQ(find("log_copied_other", with_old("track_10min_16mb/2026-03-20_Hymba_Mamba")),
            "reject");
  set("val_bpb", "1.05");  // another score than these logs have
  EXPECT_EQ(find("log_copied_other", with_old("track_10min_16mb/2026-03-20_NineLayers")), "reject");
}

TEST_F(KnownLogsTest, RequestOfSeveralFolders) {
  const std::string own = all(20, "track_10min_16mb/2026-03-24_Wide");
  EXPECT_EQ(find("multi_folder_pr", with(own)), "");
  const std::string hash = hash_of("another");
  EXPECT_EQ(find("multi_folder_pr",
                 with(own + fmt::format("{}\t{}\t1\t20\ttrack_10min_16mb/2026-03-24_Other\tt.log\n",
                                        hash, hash))),
            "note");
}

TEST_F(KnownLogsTest, TableOfAnotherFormIsRefused) {
  for (const char* table : {"a\tb\n", "x\ty\t1\t2\t3\t4\n"}) {
    EXPECT_THROW((void)KnownLogs::from_text(table, "index.tsv"), Error) << table;
  }
  const std::string hash = hash_of("x");
  EXPECT_THROW(
      (void)KnownLogs::from_text(fmt::format("{}\t{}\t1\tnone\tf\tt\n", hash, hash), "index.tsv"),
      Error);
}

TEST_F(ContextRules, FolderNames) {
  EXPECT_EQ(find("folder_name"), "");
  const std::filesystem::path track = path().parent_path();
  for (const char* name :
       {"first-submission", "2026-03-24-Wide", "2026-06-24_Wide", "2026-03-24_Wide MLP"}) {
    std::filesystem::copy(path(), track / name);
    bool is_found = false;
    const std::vector<FolderReport> reports = verify_folders({track / name}, {});
    for (const Finding& finding : reports.front().findings) {
      is_found = is_found || finding.code == "folder_name";
    }
    EXPECT_TRUE(is_found) << name;
  }
}

// A second folder beside the first, with the same logs.
class TwoFolders : public VerifyTest {
 protected:
  std::filesystem::path copy() const {
    const std::filesystem::path other = path().parent_path() / "2026-03-30_Late";
    std::filesystem::copy(path(), other);
    return other;
  }
  std::string find_in(const std::filesystem::path& folder, const std::string& code) const {
    for (const FolderReport& report : verify_folders({path(), folder}, {})) {
      if (report.folder != folder.string()) continue;
      for (const Finding& finding : report.findings) {
        if (finding.code == code) return std::string(severity_name(finding.severity));
      }
    }
    return "";
  }
  static void rewrite(const std::filesystem::path& file, const std::string& from,
                      const std::string& to) {
    std::string text;
    {
      std::ifstream in(file, std::ios::binary);
      text.assign(std::istreambuf_iterator<char>(in), {});
    }
    for (size_t at = text.find(from); at != std::string::npos;
         at = text.find(from, at + to.size())) {
      text.replace(at, from.size(), to);
    }
    std::ofstream(file, std::ios::binary) << text;
  }
};

TEST_F(TwoFolders, SameLogsOfOneAuthorAreShared) {
  const auto other = copy();
  EXPECT_EQ(find_in(other, "log_shared_own"), "note");
  EXPECT_EQ(find_in(other, "log_copied_other"), "");
}

TEST_F(TwoFolders, SameLogsOfALaterAuthorAreCopied) {
  const auto other = copy();
  rewrite(other / "submission.json", "a-person", "b-person");
  rewrite(other / "submission.json", "2026-03-24", "2026-03-30");
  EXPECT_EQ(find_in(other, "log_copied_other"), "reject");
  EXPECT_EQ(find_in(path(), "log_copied_other"), "");  // the earlier one wrote them
}

TEST_F(TwoFolders, SharedLogsOfWhichOneFolderSaysNothing) {
  append("README.md", "Round trip 1.1418, 1.1419, 1.1417.\n");
  const auto other = copy();
  rewrite(other / "submission.json", "1.119", "1.105");
  rewrite(other / "README.md", "1.1", "1.0");
  EXPECT_EQ(find_in(other, "log_shared_other_claim"), "reject");
  EXPECT_EQ(find_in(path(), "log_shared_other_claim"), "");
}

TEST_F(TwoFolders, SameTrainingWithOtherResults) {
  write_logs([](LogWords& w) {
    w.before_final = "";
    w.behind = "";
  });
  // Ten steps at the least tell a run.
  std::string steps;
  for (int step = 100; step < 1000; step += 100)
    steps += fmt::format("step:{}/20000 train_loss:3.1 train_time:1ms\n", step);
  append("train_seed42.log", steps);
  const auto other = copy();
  EXPECT_EQ(find_in(other, "log_same_run"), "");  // the same bytes
  rewrite(other / "train_seed42.log", "val_bpb:1.1193", "val_bpb:1.1093");
  EXPECT_EQ(find_in(other, "log_same_run"), "warn");
  rewrite(other / "train_seed42.log", "train_loss:3.1 ", "train_loss:3.2 ");
  EXPECT_EQ(find_in(other, "log_same_run"), "");
}

}  // namespace
}  // namespace pg
