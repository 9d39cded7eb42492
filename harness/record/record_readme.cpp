// README.md of a record: the result first, then what it took in time and bytes, then how to get it
// again.
#include <fmt/format.h>

#include "harness/recipe/recipe_identity.h"
#include "harness/record/code_features.h"
#include "harness/record/record.h"
#include "harness/record/score_name.h"
#include "src/text/text_escape.h"
#include "src/text/text_format.h"

namespace pg {
namespace {

std::string write_result_table(const RunResult& r) {
  const double steps = static_cast<double>(r.steps > 0 ? r.steps : 1);
  return fmt::format(
      "| seed | steps | ms/step | before quantisation, bpb | artifact, bpb | artifact, {}, bpb | "
      "loss, nats | artifact, bytes |\n"
      "|---|---|---|---|---|---|---|---|\n"
      "| {} | {} | {:.2f} | {:.4f} | {:.4f} | **{:.4f}** | {:.4f} | {} |\n",
      name_score(r.recipe).column, r.recipe.train.seed, format_thousands(r.steps),
      r.times.train_s * 1e3 / steps, r.pre_quant.diagnostic_bits_per_byte,
      r.roundtrip.bits_per_byte, r.score.bits_per_byte, r.score.loss_nats,
      format_thousands(r.pack.total_bytes));
}

std::string format_budget(double used_s, double budget_s) {
  if (budget_s == 0) return "none";
  return fmt::format("{:.0f} s{}", budget_s, used_s > budget_s ? ", **over budget**" : "");
}

std::string write_time_table(const RunResult& r) {
  const StageTimes& t = r.times;
  const double other_s =
      t.total_s - t.train_s - t.calibrate_s - t.quantize_s - t.pack_s - t.eval_s - t.diagnose_s;
  std::string text = "| time | seconds | budget |\n|---|---|---|\n";
  const auto row = [&](const char* what, double s, const std::string& budget) {
    text += fmt::format("| {} | {:.2f} | {} |\n", what, s, budget);
  };
  row("train and calibrate", t.budgeted_train_s(),
      format_budget(t.budgeted_train_s(), r.recipe.train.wallclock_s));
  row("of it calibrate, on training text", t.calibrate_s, "");
  row("quantise", t.quantize_s, "");
  row("pack", t.pack_s, "");
  row("evaluate", t.eval_s, format_budget(t.eval_s, r.recipe.eval.wallclock_s));
  row("diagnostics, no part of the score", t.diagnose_s, "");
  row("start, data, validation passes and record", other_s, "");
  row("**total from program start**", t.total_s, "");
  row("first step done, from program start", t.first_step_s, "");
  return text;
}

// What the bit allocation chose, tensor by tensor.
std::string write_allocation(const std::vector<TensorAllocation>& allocation) {
  std::string text =
      "| tensor | weights | bits | mean scale | bytes | bits per weight | predicted loss, nats |\n"
      "|---|---|---|---|---|---|---|\n";
  for (const TensorAllocation& t : allocation) {
    if (t.bits == 16) continue;
    text += fmt::format("| {} | {} | {} | {:.5f} | {:.0f} | {:.3f} | {:.6f} |\n", t.name,
                        t.elements, t.bits, t.scale, t.bytes,
                        8 * t.bytes / static_cast<double>(t.elements), t.loss_nats);
  }
  return text;
}

std::string write_byte_table(const RunResult& r) {
  const PackSummary& p = r.pack;
  std::string text = "| bytes | |\n|---|---|\n";
  const auto row = [&](const std::string& what, int64_t bytes) {
    text += fmt::format("| {} | {} |\n", what, format_thousands(bytes));
  };
  row("model", p.model_bytes);
  const CodeFeatures features = code_features(r.recipe.model, r.recipe.scoring(), p.coder);
  row(fmt::format("code, {}", describe_features(features)), p.code_bytes);
  row("**total**", p.total_bytes);
  row("cap", p.cap_bytes);
  row("left under the cap", p.cap_bytes - p.total_bytes);
  row("codes", std::llround(p.code_stream_bytes));
  row("order-0 entropy of the codes", std::llround(p.entropy_bytes));
  for (const CoderBytes& c : p.coders) {
    row(fmt::format("total, coded by {}", choice_name(c.coder)), c.total_bytes());
  }
  return text + "\n" + write_allocation(r.allocation);
}

std::string describe_stop(const RunResult& r) {
  switch (r.stop_reason) {
    case StopReason::kWallclock:
      return "the training budget was used up";
    case StopReason::kMaxSteps:
      return "train.max_steps was reached";
    case StopReason::kInterrupted:
      return "it was interrupted";
  }
  return {};
}

// How anybody sees that the score is the length of a file that the counted code decodes.
std::string write_check(const RunResult& r) {
  const Coder coder = r.pack.coder;
  const std::string library = coder == Coder::kOwn ? "" : fmt::format(" -l{}", choice_name(coder));
  return fmt::format(
      "## Check\n\nThe counted code, one C++ file, prints the score while it decodes the "
      "validation "
      "text from `val.pgt`; on the shards it prints what it meters.\n\n"
      "```\nzpaq x code.zpaq\n"
      "g++ -std=c++20 -O3 -march=native -ffp-contract=off -fopenmp-simd -w score_artifact.cpp \\\n"
      "  -o score_artifact -lfmt -lsentencepiece -lcrypto{}\n"
      "./score_artifact {} TOKENIZER --decode val.pgt ids\n"
      "./score_artifact {} TOKENIZER VAL_SHARD...\n```\n\n",
      library, r.artifact_name, r.artifact_name);
}

}  // namespace

std::string write_record_readme(const RunResult& r) {
  const RecordConfig& record = r.recipe.record;
  const ModelConfig& m = r.recipe.model;
  std::string text =
      fmt::format("# {}: {:.4f} bits per byte, {} bytes\n\n", escape_markdown(record.name),
                  r.score.bits_per_byte, format_thousands(r.pack.total_bytes));
  if (!record.blurb.empty()) text += escape_markdown(record.blurb) + "\n\n";
  text += fmt::format("Track {}, {}", escape_markdown(r.recipe.track.name), r.date);
  if (!record.author.empty()) text += fmt::format(", by {}", escape_markdown(record.author));
  text += ".\n\n" + write_result_table(r) + "\n![loss curve](loss.svg)\n\n";

  text += fmt::format(
      "{} parameters: {} layers of width {}, {} query and {} key/value heads, MLP {}, vocabulary "
      "{}. Trained on {} "
      "tokens; training ended because {}. Weights exported: {}. Scored: {} tokens that stand for "
      "{} bytes in {} "
      "documents, {} windows of {} tokens moved by {}.\n\n",
      format_thousands(r.facts.params), m.layers, m.dim, m.heads, m.kv_heads, m.mlp_hidden,
      m.vocab_size, format_thousands(r.tokens), describe_stop(r), escape_markdown(r.averaging),
      format_thousands(r.score.tokens), format_thousands(r.score.bytes),
      format_thousands(r.score.documents), choice_name(r.recipe.eval.windows),
      r.recipe.eval.context, r.recipe.eval.stride);
  text +=
      "The score is that of the weights unpacked from the artifact's bytes; no token is scored "
      "twice.\n\n";

  for (const std::string& fault : r.facts.data_faults) {
    text += fmt::format("The data are at fault (`data.force`): {}.\n\n", escape_markdown(fault));
  }
  text +=
      "## Time\n\n" + write_time_table(r) +
      "\nIn submission.json `wallclock_seconds` and `train_wallclock_ms` are the first of these "
      "rows, what counts against the training budget; `step_avg_ms` is of the steps alone.\n"
      "\n## Bytes\n\n" +
      write_byte_table(r);
  text += fmt::format("\nArtifact `{}`, sha256 `{}`.\n", r.artifact_name, r.artifact_sha256);

  text += fmt::format("\n## Reproduce\n\n```\n{}\n```\n\n", r.command);
  text += write_check(r);
  text += fmt::format(
      "Hardware: {}. Device: {}. Program: {}. Tokenizer sha256 `{}`, data fingerprints "
      "train `{:016x}`, val `{:016x}`, recipe sha256 `{}`.\n\n",
      escape_markdown(r.facts.hardware), escape_markdown(r.facts.device),
      escape_markdown(r.facts.program), r.facts.tokenizer_sha256, r.facts.train_fingerprint,
      r.facts.val_fingerprint, hash_recipe(r.recipe));
  text += fmt::format(
      "Files: `recipe.toml` every key, `{}` log, `run.jsonl` the same for machines, `tape.jsonl` "
      "what went into the run, the decisions of each step and, last, the hashes of what came out, "
      "its "
      "lines chained by hash, `submission.json` the result, `.run_files` which of them the run "
      "wrote.\n",
      RunFolder::log_name(r.recipe.train.seed));
  return text;
}

}  // namespace pg
