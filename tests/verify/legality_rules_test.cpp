// Ways of scoring that no decoder could follow, by the lines that only they print and by what a record
// calls itself; and records that say they do without.
#include <fmt/format.h>

#include "tests/verify/verify_fixture.h"

namespace pg {
namespace {

using LegalityRules = VerifyTest;

constexpr const char* kCodes[] = {
    "ngram_unnormalised", "two_pass_rescore", "ttt_before_score", "prequant_ttt",  "slot",
    "min_over_passes",    "byte_mix",         "paid_prefix",      "trained_on_val"};

TEST_F(LegalityRules, LinesOfLogs) {
  const std::pair<const char*, const char*> lines[] = {
      {"ngram_unnormalised", "final_ngram val_loss:1.6279 val_bpb:0.9641 ngram_eval_time:390878ms"},
      {"two_pass_rescore", "ngram_pass2: rescoring first 15 chunks with full cache"},
      {"ttt_before_score", "ttt:start lr=0.002 momentum=0.9 epochs=3"},
      {"ttt_before_score", "ttt_adamw:epoch 1/10 loss:1.9047 time:34.4s"},
      {"prequant_ttt", "prequant_ttt:epoch 1/6 loss:2.8747 time:17.3s"},
      {"slot", "final_slot val_loss:0.6266 val_bpb:0.3711 eval_time:78521ms"},
      {"min_over_passes", "score: min_nll over 3 passes"},
      {"byte_mix", "ppm_mix bytes=151080891 mix_bpb=1.002519 ppm_only=2.380212"},
      {"paid_prefix", "paid_prefix: 4194304 bytes loaded"},
      {"trained_on_val", "train_on_val:True"}};
  for (const auto& [code, line] : lines) {
    append("train_seed42.log", std::string(line) + "\n");
    EXPECT_EQ(find(code), "reject") << line;
    write_logs([](LogWords&) {});
    EXPECT_EQ(find(code), "") << line;
  }
}

TEST_F(LegalityRules, NamesOfRecords) {
  const std::pair<const char*, const char*> names[] = {
      {"two_pass_rescore", "Two-Pass N-gram Rescoring"},
      {"ttt_before_score", "11L EMA + AdamW TTT (10ep)"},
      {"prequant_ttt", "SP8192 + Pre-Quant TTT"},
      {"slot", "Non-record: Per-Sample SLOT v2"},
      {"min_over_passes", "Multi-pass, min-NLL per document"},
      {"byte_mix", "PPM-D byte mixture"},
      {"paid_prefix", "8L Paid Prefix"},
      {"trained_on_val", "11L Val-Only"}};
  for (const auto& [code, name] : names) {
    set("name", fmt::format("\"{}\"", name));
    EXPECT_EQ(find(code), "reject") << name;
  }
  // An n-gram's name alone says nothing; with a score that only one without a normaliser has it does.
  set("name", "\"N-gram cache\"");
  EXPECT_EQ(find("ngram_unnormalised"), "");
  write_logs([](LogWords& w) { w.val_bpb = 0.4; });
  set("val_bpb", "0.4");
  EXPECT_EQ(find("ngram_unnormalised"), "reject");
}

// This program's mixers normalise; a log under its names shows the mixing and not that.
TEST_F(LegalityRules, OwnMixersAreUnproven) {
  append("train_seed42.log", "legal_ttt_ngram_mix_exact val_loss:1.89000000 val_bpb:1.11930000\n");
  EXPECT_EQ(find("ngram_unproven"), "warn");
  EXPECT_EQ(find("ngram_unnormalised"), "");
}

TEST_F(LegalityRules, DescriptionsOfScoresThatNoModelHas) {
  const std::pair<const char*, const char*> blurbs[] = {
      {"ngram_unnormalised", "Adds a 7-gram eval cache (n-gram) to the stack"},
      {"byte_mix", "Token scores blended with a PPM model"},
      {"slot", "With SLOT at evaluation"}};
  for (const auto& [code, blurb] : blurbs) {
    set("blurb", fmt::format("\"{}\"", blurb));
    set("val_bpb", "1.1194");
    EXPECT_EQ(find(code), "") << blurb;
    set("val_bpb", "0.9");
    EXPECT_EQ(find(code), "reject") << blurb;
  }
  set("blurb", "\"no n-gram cache, no SLOT, without PPM\"");
  for (const auto& [code, blurb] : blurbs) EXPECT_EQ(find(code), "") << blurb;
}

TEST_F(LegalityRules, WhatIsDeniedOrLegalIsNotFound) {
  write(
      "README.md",
      "# Legal score-first TTT, 3 epochs a chunk; no SLOT, no pre-quant TTT, without n-gram cache\n"
      "- No two-pass rescoring, no byte-level PPM, not trained on validation shards\n"
      "| min(NLL) over passes | **No** |\n| slots | 4 |\n");
  set("name", "\"Legal TTT without SLOT\"");
  write_logs([](LogWords& w) {
    w.before_final =
        "ttt_sliding:start chunks=1863 chunk_tokens=32768 stride=64 ttt_lr=0.002 ttt_epochs=3\n"
        "ttt:start chunks=1238 ttt_lr=0.005 ttt_epochs=3\n"
        "ttt_epochs: 3\nprequant_ttt_enabled: False\nprequant_ttt_epochs: 6\nppm_enabled: False\n"
        "ngram_tilt:hints total=47851520 gated=628130\nslots:4\n"
        "  ttt_chunk [1/1863] bpb=1.111535 time=0.5s\n";
  });
  for (const char* code : kCodes) EXPECT_EQ(find(code), "") << code;
}

TEST_F(LegalityRules, AdaptersThatScoreFirstMayTakeSeveralPasses) {
  write_logs([](LogWords& w) { w.before_final = "ttt:epoch 1/3 loss:1.9\n"; });
  EXPECT_EQ(find("ttt_before_score"), "reject");
  write_logs([](LogWords& w) {
    w.before_final = "ttt_sliding:start chunks=1863 chunk_tokens=32768\nttt:epoch 1/3 loss:1.9\n";
  });
  EXPECT_EQ(find("ttt_before_score"), "");
}

TEST_F(LegalityRules, ConfidenceIsSaid) {
  append("train_seed42.log", "final_slot val_loss:0.6266 val_bpb:0.3711\n");
  for (const Finding& finding : verify()) {
    if (finding.code != "slot") continue;
    EXPECT_NE(finding.evidence.find("confidence: high"), std::string::npos);
  }
}

}  // namespace
}  // namespace pg
