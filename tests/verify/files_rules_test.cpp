// What must lie in a folder and what submission.json must hold: each fault, and what is near it and
// none.
#include <fmt/format.h>

#include "tests/verify/verify_fixture.h"

namespace pg {
namespace {

using FilesRules = VerifyTest;

TEST_F(FilesRules, WholeRecordHasNothingToFind) {
  const std::vector<Finding> findings = verify();
  EXPECT_TRUE(findings.empty()) << findings_text("record", findings);
}

TEST_F(FilesRules, MissingFilesAreNamed) {
  remove("submission.json");
  EXPECT_EQ(find("json_missing"), "reject");
  EXPECT_EQ(find("nested_folder"), "");
  remove("README.md");
  EXPECT_EQ(find("readme_missing"), "reject");
  remove("train_gpt.py");
  write("other.py", "x");
  EXPECT_EQ(find("code_missing"), "reject");
}

TEST_F(FilesRules, FolderOneLevelTooDeepIsNamed) {
  write("inner/submission.json", read("submission.json"));
  EXPECT_EQ(find("nested_folder"), "");
  remove("submission.json");
  EXPECT_EQ(find("nested_folder"), "reject");
}

TEST_F(FilesRules, JsonThatIsNoneIsNamed) {
  const std::string good = read("submission.json");
  for (const std::string& bad :
       {std::string("cat > submission.json << EOF\n") + good, good + good,
        good.substr(0, good.size() / 2), std::string("{\"val_bpb\": 1.1,}"), std::string("[1, 2]"),
        std::string(), std::string("3")}) {
    write("submission.json", bad);
    EXPECT_EQ(find("json_invalid"), "reject") << bad;
  }
  write("submission.json", "  " + good + "\n\n");
  EXPECT_EQ(find("json_invalid"), "");
}

TEST_F(FilesRules, JsonErrorHasItsLine) {
  write("submission.json", "{\n\"a\": 1,\n}\n");
  for (const Finding& finding : verify()) {
    if (finding.code != "json_invalid") continue;
    EXPECT_EQ(finding.line, 3);
  }
}

TEST_F(FilesRules, ByteOrderMarkBeforeJson) {
  EXPECT_EQ(find("json_bom"), "");
  write("submission.json", "\xef\xbb\xbf" + read("submission.json"));
  EXPECT_EQ(find("json_bom"), "warn");
  EXPECT_EQ(find("json_invalid"), "");
}

TEST_F(FilesRules, ScoreThatIsNotThere) {
  set("val_bpb", "null");
  EXPECT_EQ(find("val_bpb_missing"), "reject");
  set("val_bpb", "");
  EXPECT_EQ(find("val_bpb_missing"), "reject");
  set("baseline_bpb", "1.2");  // another's
  EXPECT_EQ(find("val_bpb_missing"), "reject");
  set("mean_val_bpb", "1.1194");
  EXPECT_EQ(find("val_bpb_missing"), "warn");
  set("val_bpb", "1.1194");
  EXPECT_EQ(find("val_bpb_missing"), "");
}

TEST_F(FilesRules, ScoreThatIsNoNumber) {
  set("val_bpb", "{\"42\": 1.1}");
  EXPECT_EQ(find("val_bpb_not_number"), "reject");
  set("val_bpb", "\"1.1194 (neural)\"");
  EXPECT_EQ(find("val_bpb_not_number"), "reject");
  set("val_bpb", "\"1.1194\"");
  EXPECT_EQ(find("val_bpb_not_number"), "warn");
  EXPECT_EQ(find("bpb_not_in_log"), "");
  set("val_bpb", "1.1194");
  EXPECT_EQ(find("val_bpb_not_number"), "");
}

TEST_F(FilesRules, ScoreOutOfRange) {
  for (const char* score : {"0", "-1.1", "8.01", "1e300"}) {
    set("val_bpb", score);
    EXPECT_EQ(find("val_bpb_out_of_range"), "reject") << score;
  }
  for (const char* score : {"8", "1.1194"}) {
    set("val_bpb", score);
    EXPECT_EQ(find("val_bpb_out_of_range"), "") << score;
  }
}

TEST_F(FilesRules, ScoreBelowAllThatWasAccepted) {
  set("val_bpb", "1.0399");
  EXPECT_EQ(find("score_implausible"), "warn");
  set("val_bpb", "1.04");
  EXPECT_EQ(find("score_implausible"), "");
  // Of a file that is cut off.
  write("submission.json", "{\"val_bpb\": 0.97, \"name\": \"cut");
  EXPECT_EQ(find("score_implausible"), "warn");
}

TEST_F(FilesRules, PlaceholdersAreNamed) {
  for (const auto& [key, value] :
       std::map<std::string, std::string>{{"author", "\"YourName\""},
                                          {"github_id", "\"<your id>\""},
                                          {"date", "\"TBD\""},
                                          {"bytes_total", "\"<fill after runs>\""}}) {
    const std::string before = read("submission.json");
    set(key, value);
    EXPECT_EQ(find("placeholder_text"), "warn") << key;
    write("submission.json", before);
    EXPECT_EQ(find("placeholder_text"), "");
  }
  set("name", "\"pending eval\"");  // a name may be of any words
  set("author", "\"Pendleton\"");
  EXPECT_EQ(find("placeholder_text"), "");
}

TEST_F(FilesRules, DatesOfTheContest) {
  for (const char* date :
       {"null", "\"24 March\"", "\"2026-3-24\"", "\"2026-03-16\"", "\"2026-05-05\"", "20260324"}) {
    set("date", date);
    EXPECT_EQ(find("date_bad"), "note") << date;
  }
  for (const char* date : {"\"2026-03-17\"", "\"2026-05-04T23:59:59Z\""}) {
    set("date", date);
    EXPECT_EQ(find("date_bad"), "") << date;
  }
  set("date", "");
  EXPECT_EQ(find("date_bad"), "note");
}

TEST_F(FilesRules, CodeSizesStandInForDataAlone) {
  remove("train_gpt.py");
  write("code_sizes.json",
        "{\"train_gpt.py\": 50000, \"../../up.py\": 1, \"/etc/passwd\": 1, \"big.bin\": null}");
  EXPECT_EQ(find("code_missing"), "");
  EXPECT_EQ(find("code_not_at_hand"), "note");
  VerifyOptions strict;
  strict.needs_code = true;
  EXPECT_EQ(find("code_missing", strict), "reject");
  // Beside code of the folder's own the list is a stranger's word.
  write("other.py", "x");
  EXPECT_EQ(find("code_missing"), "reject");
  EXPECT_EQ(find("code_sizes_ignored"), "warn");
}

TEST_F(FilesRules, CodeSizesNeverReplaceAFile) {
  write_logs([](LogWords& w) { w.code_bytes = 20000; });
  write("code_sizes.json", "{\"train_gpt.py\": 20000}");
  EXPECT_EQ(find("code_size_differs"), "note");
}

}  // namespace
}  // namespace pg
