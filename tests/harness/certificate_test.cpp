#include "harness/record/certificate.h"

#include <gtest/gtest.h>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/files/write_file.h"
#include "tests/harness/run_fixture.h"

namespace pg {
namespace {

Certificate make_certificate() {
  Certificate c;
  c.artifact_sha256 = "ab12";
  c.tokenizer_sha256 = "cd34";
  c.val_fingerprint = 0x1234;
  c.val_tokens = 5000;
  c.audited_tokens = 300;
  c.chunks = 4;
  c.configuration = list_score_keys(Recipe{});
  c.probes = {{"V1", "suffix mutation", Verdict::kPass, "equal | all", {{"cuts", 6}}},
              {"V4", "byte level", Verdict::kNotRun, "not applicable", {}}};
  return c;
}

TEST(Certificate, SameFindingsGiveTheSameBytes) {
  EXPECT_EQ(write_certificate_markdown(make_certificate()),
            write_certificate_markdown(make_certificate()));
  EXPECT_EQ(write_certificate_json(make_certificate()), write_certificate_json(make_certificate()));
}

TEST(Certificate, NamesWhatWasAudited) {
  const std::string text = write_certificate_markdown(make_certificate());
  for (const char* part :
       {"**pass: 1 probes passed, 0 failed, 1 not run**", "ab12", "cd34", "0000000000001234",
        "first 300 tokens, 4 chunks", "cuts 6", "stride = 64"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part;
  }
  // A reason cannot break the table.
  EXPECT_EQ(text.find("equal | all"), std::string::npos);
}

TEST(Certificate, OneFailedProbeFailsIt) {
  Certificate c = make_certificate();
  c.probes.push_back({"V9", "decode", Verdict::kFail, "target 7", {}});
  EXPECT_EQ(c.verdict(), Verdict::kFail);
  const std::string json = write_certificate_json(c);
  EXPECT_NE(json.find("\"verdict\": \"FAIL\""), std::string::npos);
  EXPECT_NE(json.find("\"reason\": \"target 7\""), std::string::npos);
}

TEST(Certificate, NothingRunIsNoPass) {
  Certificate c;
  EXPECT_EQ(c.verdict(), Verdict::kNotRun);
}

TEST(Certificate, ConfigurationHoldsTheSectionsOfTheScoreAlone) {
  Recipe recipe;
  recipe.eval.stride = 17;
  recipe.ttt.kind = TttKind::kSgd;
  recipe.mix.kind = MixKind::kTilt;
  const std::string keys = list_score_keys(recipe);
  EXPECT_EQ(keys.find("[eval]"), 0u);
  EXPECT_NE(keys.find("stride = 17"), std::string::npos);
  EXPECT_NE(keys.find("[ttt]\nkind = \"sgd\""), std::string::npos);
  EXPECT_NE(keys.find("[mix]\nkind = \"tilt\""), std::string::npos);
  EXPECT_EQ(keys.find("[train]"), std::string::npos);
  EXPECT_EQ(keys.find("[quant]"), std::string::npos);
  EXPECT_EQ(keys.find("[data]"), std::string::npos);  // paths of one machine
}

TEST(Certificate, ReplacesItselfAndNothingElse) {
  const TemporaryFolder temporary;
  CertificateFolder(temporary.path()).write(make_certificate());
  Certificate other = make_certificate();
  other.seed = 9;
  CertificateFolder(temporary.path()).write(other);
  EXPECT_EQ(read_text_file(temporary.path() / "certificate.json"), write_certificate_json(other));
  for (const char* name : {"certificate.md", "certificate.json", ".run_files", ".run_lock"}) {
    const TemporaryFolder mine("mine");
    write_file_atomic(mine.path() / name, "mine");
    EXPECT_THROW(CertificateFolder folder(mine.path()), Error) << name;
    EXPECT_EQ(read_text_file(mine.path() / name), "mine");
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(mine.path()), {}), 1);
  }
  const std::string changed = read_text_file(temporary.path() / "certificate.md") + "my notes\n";
  write_file_atomic(temporary.path() / "certificate.md", changed);
  EXPECT_THROW(CertificateFolder folder(temporary.path()), Error);
  EXPECT_EQ(read_text_file(temporary.path() / "certificate.md"), changed);
}

}  // namespace
}  // namespace pg
