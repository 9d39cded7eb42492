// All commands, each from the file of its name.
#pragma once
#include "harness/command/cli.h"
#include "harness/command/command.h"

namespace pg {

Command make_run_command(const RunFunction& run);
Command make_seeds_command(const RunFunction& run);
Command make_ablate_command(const RunFunction& run);
Command make_replay_command();  // exit code 1 when artifact or score differ
Command make_eval_command();
Command make_compare_command();
Command make_leaderboard_command();
Command make_size_command();  // exit code 1 when a cap that was asked for does not hold
Command make_export_command();
Command make_import_command();
Command make_pack_command();
Command make_generate_command();
Command make_audit_command();   // exit code 1 when a probe fails
Command make_verify_command();  // exit code 1 when a folder is one to reject
Command make_report_command();
Command make_watch_command();       // exit code 1 when the run ended without a record
Command make_submission_command();  // exit code 1 when verify rejects what was made
Command make_encode_command();
Command make_decode_command();
Command make_tokenizer_train_command();
Command make_tokenize_command();
Command make_corpus_info_command();
Command make_recipe_command();
Command make_recipe_explain_command();
Command make_recipe_scale_command();
Command make_plan_command();
Command make_bench_train_command();
Command make_bench_pack_command();
Command make_bench_eval_command();
Command make_bench_ops_command();
Command make_selftest_command();  // exit code 1 when something is wrong
Command make_docs_ops_command();

}  // namespace pg
