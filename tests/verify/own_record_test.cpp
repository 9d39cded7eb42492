// The committed record of this program: nothing to find as it is, and a byte changed anywhere in it is.
#include "harness/verify/own_record.h"

#include <fstream>

#include "src/base/bytes.h"
#include "tests/verify/verify_fixture.h"

namespace pg {
namespace {

constexpr const char* kRecord = "records/cpu_10min_1mb/2026-11-26_exact_gains/web_seed42";

class OwnRecord : public VerifyTest {
 protected:
  explicit OwnRecord(const std::string& place = "records/cpu_10min_1mb/seed42")
      : VerifyTest(place) {
    std::filesystem::remove_all(path());
    std::filesystem::copy(kRecord, path());
  }

  // Changes the byte in the middle of a file.
  void flip(const std::string& name) const {
    std::string text = read(name);
    ASSERT_FALSE(text.empty());
    text[text.size() / 2] = static_cast<char>(text[text.size() / 2] ^ 1);
    write(name, text);
  }
};

TEST_F(OwnRecord, CommittedRecordIsClean) {
  const std::vector<Finding> findings = verify();
  EXPECT_EQ(folder_verdict(findings), "clean") << findings_text("record", findings);
  EXPECT_EQ(find_bound_artifact(RecordFolder(path())), "final_model.int6.bin");
}

TEST_F(OwnRecord, ChangedByteOfWhatTheTapeBindsIsFound) {
  for (const char* name : {"recipe.toml", "train_seed42.log", "final_model.int6.bin", "code.zpaq",
                           "val.pgt", "submission.json", "tape.jsonl"}) {
    const std::string before = read(name);
    flip(name);
    EXPECT_EQ(find("tape_broken"), "reject") << name;
    write(name, before);
  }
  EXPECT_EQ(find("tape_broken"), "");
}

TEST_F(OwnRecord, MissingOrLinkedFilesAreFound) {
  for (const char* name : {"val.pgt", "final_model.int6.bin"}) {
    const std::string before = read(name);
    remove(name);
    EXPECT_EQ(find("tape_broken"), "reject") << name;
    std::filesystem::create_symlink(std::filesystem::absolute(kRecord) / name, path() / name);
    EXPECT_EQ(find("tape_broken"), "reject") << name;
    remove(name);
    write(name, before);
  }
}

TEST_F(OwnRecord, RunThatHasNotEndedIsAWarning) {
  const std::string tape = read("tape.jsonl");
  write("tape.jsonl", tape.substr(0, tape.rfind("{\"event\":\"end\"")));
  EXPECT_EQ(find("tape_broken"), "reject");  // submission.json says that it has
  remove("submission.json");
  EXPECT_EQ(find("tape_open"), "warn");
}

TEST_F(OwnRecord, CertificateOfAnotherArtifact) {
  replace("certificate.json", "206fbf81", "206fbf80");
  EXPECT_EQ(find("certificate_bad"), "reject");
  remove("certificate.json");
  EXPECT_EQ(find("certificate_missing"), "note");
}

TEST_F(OwnRecord, CertificateThatFails) {
  replace("certificate.json", "\"verdict\": \"pass\"", "\"verdict\": \"fail\"");
  EXPECT_EQ(find("certificate_bad"), "reject");
}

TEST_F(OwnRecord, BytesAreRecounted) {
  replace("submission.json", "\"bytes_code\": 53085", "\"bytes_code\": 50085");
  EXPECT_EQ(find("bytes_miscounted"), "reject");
}

TEST_F(OwnRecord, CapOfItsOwnTrack) {
  replace("submission.json", "\"bytes_cap\": 1000000", "\"bytes_cap\": 999000");
  EXPECT_EQ(find("size_over_cap"), "reject");
}

TEST_F(OwnRecord, TapeOfTheFirstFormatBindsNothing) {
  std::filesystem::remove_all(path());
  std::filesystem::copy("records/cpu_10min_1mb/2026-11-22_legal_gains/web_seed42", path());
  EXPECT_EQ(find("tape_not_chained"), "warn");
  EXPECT_EQ(find("val_subset"), "reject");  // so it is judged as any record
}

class OwnRecordInTheChallengesTrack : public OwnRecord {
 protected:
  OwnRecordInTheChallengesTrack() : OwnRecord("records/track_10min_16mb/2026-03-24_Wide") {}
};

TEST_F(OwnRecordInTheChallengesTrack, IsJudgedByItsRules) {
  EXPECT_EQ(find("tape_broken"), "");
  EXPECT_EQ(find("val_subset"), "reject");
}

// A stranger's folder does not become one of ours by a file's name.
TEST_F(OwnRecord, TapeAloneIsNoRecord) {
  EXPECT_EQ(find("val_subset"), "");
  for (const char* name : {"code.zpaq", "final_model.int6.bin"}) remove(name);
  EXPECT_EQ(find("val_subset"), "reject");
  EXPECT_EQ(find("code_missing"), "reject");
  write("tape.jsonl", "{}\n");
  EXPECT_EQ(find("tape_broken"), "reject");
}

}  // namespace
}  // namespace pg
