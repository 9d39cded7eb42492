// Folders that somebody made to harm who looks at them: nothing is followed, waited for, or shown as it
// is, and memory stays bounded.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "harness/verify/log_reader.h"
#include "src/base/error.h"
#include "tests/verify/verify_fixture.h"

namespace pg {
namespace {

using HostileFolder = VerifyTest;

TEST_F(HostileFolder, LinksAreNamedAndNotFollowed) {
  remove("README.md");
  std::filesystem::create_symlink("/etc/passwd", path() / "README.md");
  std::filesystem::create_symlink(path() / "train_seed42.log", path() / "train_seed7.log");
  std::filesystem::create_directory_symlink(path(), path() / "again");
  EXPECT_EQ(find("symlink"), "warn");
  EXPECT_EQ(find("readme_missing"), "reject");
  EXPECT_EQ(find("folder_cut"), "");
  EXPECT_EQ(find("log_twice"), "");
}

TEST_F(HostileFolder, PipesAreNotWaitedFor) {
  remove("train_seed42.log");
  ASSERT_EQ(::mkfifo((path() / "train_seed42.log").c_str(), 0600), 0);
  remove("submission.json");
  ASSERT_EQ(::mkfifo((path() / "submission.json").c_str(), 0600), 0);
  EXPECT_EQ(find("special_file"), "warn");
  EXPECT_EQ(find("json_missing"), "reject");
}

TEST_F(HostileFolder, FileThatBecomesALinkIsNotOpened) {
  const RecordFolder folder(path());
  remove("README.md");
  std::filesystem::create_symlink("/etc/passwd", path() / "README.md");
  EXPECT_FALSE(folder.open_file("README.md").valid());
  EXPECT_FALSE(folder.open_file("../2026-03-24_Wide/submission.json").valid());
  EXPECT_FALSE(folder.open_file("/etc/passwd").valid());
  EXPECT_TRUE(folder.open_file("submission.json").valid());
}

TEST_F(HostileFolder, TextIsEscapedWhereItIsShown) {
  set("author", "\"\\u001b]0;owned\\u0007 pending <script>alert(1)</script> TBD\"");
  set("val_bpb", "\"\\u001b[2J\\n1.1\"");
  write("\x1b[31mred.log", "Traceback (most recent call last): \x1b[2J\n");
  const std::vector<Finding> findings = verify();
  const std::string text = findings_text(path().string(), findings);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_NE(text.find("\\x1b[2J"), std::string::npos);
  const std::string json = findings_json(path().string(), findings);
  EXPECT_EQ(json.find('\x1b'), std::string::npos);
  EXPECT_EQ(json.find('<'), std::string::npos);
  EXPECT_NE(json.find("\\u003cscript"), std::string::npos);
  EXPECT_EQ(json.find('\n'), std::string::npos);
  EXPECT_TRUE(nlohmann::json::accept(json));
}

TEST_F(HostileFolder, NamesThatAreNoUtf8StayJson) {
  write("\xff\xfe\x80.log", "x\n");
  write("train_seed42.log", std::string("Traceback (most recent call last) \xc3\x28\xff\0", 37));
  const std::string json = findings_json(path().string(), verify());
  EXPECT_TRUE(nlohmann::json::accept(json)) << json;
}

TEST_F(HostileFolder, NestedJsonIsRefused) {
  const std::string deep = std::string(1000000, '[') + std::string(1000000, ']');
  write("submission.json", deep);
  EXPECT_EQ(find("json_invalid"), "reject");
  write("submission.json", "{\"val_bpb\": " + deep + "}");
  EXPECT_EQ(find("json_invalid"), "reject");
  std::string wide = "{\"a\": [0";
  for (int i = 0; i < 300000; ++i) wide += ",0";
  write("submission.json", wide + "]}");
  EXPECT_EQ(find("json_invalid"), "reject");
}

TEST_F(HostileFolder, NumbersBeyondAllRanges) {
  for (const char* number : {"1e999", "-1e999", "99999999999999999999999999", "1e-999"}) {
    write("submission.json",
          fmt::format("{{\"val_bpb\": {0}, \"bytes_total\": {0}, \"val_loss\": {0}, "
                      "\"seeds\": [{0}], \"seed_results\": {{\"42\": {0}}}}}",
                      number));
    EXPECT_EQ(verdict(), "reject") << number;
  }
  append("train_seed42.log",
         "seed:1e300\nworld_size:-1e300\nTotal submission size: 1e300 bytes\nfinal val_loss:1e300 "
         "val_bpb:1e-300\n");
  EXPECT_EQ(verdict(), "reject");
}

TEST_F(HostileFolder, DeepFoldersEnd) {
  std::string inner;
  for (int i = 0; i < 40; ++i) inner += "d/";
  write(inner + "x.log", "x");
  EXPECT_EQ(find("folder_cut"), "warn");
}

TEST_F(HostileFolder, MissingFolderIsAFindingBesideOthers) {
  const auto reports = verify_folders({path() / "none", path()}, {});
  ASSERT_EQ(reports.size(), 2u);
  EXPECT_EQ(reports[0].findings.front().code, "folder_unreadable");
  EXPECT_EQ(folder_verdict(reports[1].findings), "clean");
}

int64_t peak_kib() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

// As long as the disk does not hold it: most of it is a hole.
TEST_F(HostileFolder, HugeLogTakesNoMemory) {
  (void)verify();
  const int64_t before = peak_kib();
  const std::filesystem::path log = path() / "train_seed42.log";
  ASSERT_EQ(::truncate(log.c_str(), off_t{1} << 27), 0);
  append("README.md", "more\n");
  EXPECT_EQ(find("bpb_not_in_log"), "");
  EXPECT_LT(peak_kib() - before, 64 << 10);
}

TEST_F(HostileFolder, LogBeyondWhatIsReadIsCut) {
  const RecordFolder folder(path());
  const LogFacts facts = read_log(folder, "train_seed42.log", 100);
  EXPECT_TRUE(facts.is_cut);
  EXPECT_FALSE(read_log(folder, "train_seed42.log", 1 << 20).is_cut);
}

TEST_F(HostileFolder, EndlessLinesAndLabelsAreBounded) {
  std::string text = std::string(20 << 20, 'x') + "\n";
  for (int i = 0; i < 200000; ++i)
    text += fmt::format("label_{0}{0}q val_loss:1.9 val_bpb:1.1{0}\n", i);
  const LogFacts facts = read_log_text(text);
  EXPECT_LE(facts.scores.size(), kMostLines);
  EXPECT_EQ(facts.lines, 200001);
}

}  // namespace
}  // namespace pg
