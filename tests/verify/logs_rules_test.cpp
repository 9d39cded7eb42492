// The logs as files, and as the words of one run.
#include <fmt/format.h>

#include "tests/verify/verify_fixture.h"

namespace pg {
namespace {

using LogsRules = VerifyTest;

TEST_F(LogsRules, NoLogWithText) {
  for (const SeedWords& seed : kSeedWords)
    write(fmt::format("train_seed{}.log", seed.seed), " \n\r\n");
  EXPECT_EQ(find("log_missing"), "reject");
  EXPECT_EQ(find("log_empty"), "warn");
  write("requirements.txt", "torch\n");  // no log
  EXPECT_EQ(find("log_missing"), "reject");
  write("train.log", make_log({}));
  EXPECT_EQ(find("log_missing"), "");
  EXPECT_EQ(find("log_empty"), "warn");
}

TEST_F(LogsRules, NoEvaluationAfterTraining) {
  for (const SeedWords& seed : kSeedWords) {
    const std::string name = fmt::format("train_seed{}.log", seed.seed);
    std::string text = read(name);
    write(name, text.substr(0, text.find("final_int6")));
  }
  EXPECT_EQ(find("log_no_final_score"), "warn");
  EXPECT_EQ(find("log_not_training"), "");
  append("train_seed42.log", "legal_ttt_exact val_loss:1.9 val_bpb:1.12520000\n");
  EXPECT_EQ(find("log_no_final_score"), "");
}

TEST_F(LogsRules, LogsOfSomethingElse) {
  for (const SeedWords& seed : kSeedWords) {
    write(fmt::format("train_seed{}.log", seed.seed), "{\"codec\": 1,\n\"bytes_total\": 118013}\n");
  }
  EXPECT_EQ(find("log_not_training"), "warn");
}

TEST_F(LogsRules, LogsThatSayTheyAreNoRunsOwn) {
  for (const char* line :
       {"NOTE: excerpt of the run\n", "val_bpb:enabled tokenizer_kind=synthetic\n",
        "placeholder until compute arrives\n", "# log summary\n"}) {
    append("train_seed42.log", line);
    EXPECT_EQ(find("log_not_original"), "warn") << line;
    write_logs([](LogWords&) {});
  }
  EXPECT_EQ(find("log_not_original"), "");
}

TEST_F(LogsRules, SummaryByHand) {
  write("train_seed42.log",
        "BEST RUN\n========\nstep 0800 | val_loss 3.9 | val_bpb 1.7146\nBest val_bpb: 1.3379\n");
  EXPECT_EQ(find("log_not_original"), "warn");
  // As short, and a program's own.
  write("train_seed42.log",
        "stopping_early: wallclock_cap train_time:599000ms step:6025/20000\nfinal_int6 "
        "val_bpb:1.1193\n");
  EXPECT_EQ(find("log_not_original"), "");
}

TEST_F(LogsRules, RunWithoutItsSteps) {
  EXPECT_EQ(find("log_abridged"), "");
  write("train_seed42.log",
        "world_size:8\nstopping_early: wallclock_cap train_time:599000ms step:6025/20000\n");
  EXPECT_EQ(find("log_abridged"), "note");
  write("train_seed42.log",
        "world_size:8\nstopping_early: wallclock_cap train_time:599000ms step:999/20000\n");
  EXPECT_EQ(find("log_abridged"), "");
}

TEST_F(LogsRules, ExactLineThatWasMadeFromARoundedOne) {
  append("train_seed42.log", "final_ttt_exact val_loss:1.88990000 val_bpb:1.11930000\n");
  EXPECT_EQ(find("log_fabricated"), "reject");
  write_logs(
      [](LogWords& w) { w.behind = "final_ttt_exact val_loss:1.88990000 val_bpb:1.11930001\n"; });
  EXPECT_EQ(find("log_fabricated"), "");
}

TEST_F(LogsRules, ReadmeThatAdmitsAnInventedLine) {
  append("README.md",
         "The run died before the last log line was printed; its score is an estimate.\n");
  EXPECT_EQ(find("log_fabricated"), "reject");
}

TEST_F(LogsRules, SameBytesTwice) {
  write("train.log", read("train_seed42.log"));
  EXPECT_EQ(find("log_twice"), "note");
  EXPECT_EQ(find("few_seeds"), "");
  append("train.log", " ");
  EXPECT_EQ(find("log_twice"), "");
}

TEST_F(LogsRules, TroublesInTheText) {
  EXPECT_EQ(find("crash_in_log"), "");
  append("train_seed42.log", "[rank0]: Traceback (most recent call last):\n");
  EXPECT_EQ(find("crash_in_log"), "note");
  append("train_seed42.log", "step:6100/20000 train_loss:nan train_time:1077ms\n");
  EXPECT_EQ(find("nan_in_log"), "warn");
  append("train_seed42.log", "\x1b[32mok\x1b[0m\n");
  EXPECT_EQ(find("ansi_escapes"), "note");
  append("train_seed42.log", "10%\r20%\r\n");
  EXPECT_EQ(find("carriage_returns"), "note");
  append("train_seed42.log", "cache /home/someone/data\n");
  EXPECT_EQ(find("abs_path"), "note");
}

TEST_F(LogsRules, NearTroubles) {
  append("train_seed42.log", "grad_norm:inf\nnan_count:0\nline\r\nfrom /homework and /root/data\n");
  for (const char* code :
       {"crash_in_log", "nan_in_log", "ansi_escapes", "carriage_returns", "abs_path"}) {
    EXPECT_EQ(find(code), "") << code;
  }
}

TEST_F(LogsRules, Utf16IsReadAndNoted) {
  for (const SeedWords& seed : kSeedWords) {
    const std::string name = fmt::format("train_seed{}.log", seed.seed);
    std::string wide = "\xff\xfe";
    for (const char c : read(name)) wide += std::string{c, '\0'};
    write(name, wide);
  }
  EXPECT_EQ(find("text_encoding"), "note");
  EXPECT_EQ(find("bpb_not_in_log"), "");
  EXPECT_EQ(find("log_no_final_score"), "");
  EXPECT_EQ(verdict(), "clean");
}

}  // namespace
}  // namespace pg
