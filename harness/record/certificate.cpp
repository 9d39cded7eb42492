#include "harness/record/certificate.h"

#include <fmt/format.h>

#include <cmath>

#include "harness/recipe/recipe_identity.h"
#include "harness/record/run_files.h"
#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/base/hash.h"
#include "src/files/write_file.h"
#include "src/text/json_object.h"
#include "src/text/text_escape.h"

namespace pg {
namespace {

// Whole numbers without a fraction: most measures are counts.
std::string format_measure(double value) {
  return value == std::floor(value) && std::abs(value) < 1e15 ? fmt::format("{:.0f}", value)
                                                              : fmt::format("{:.6g}", value);
}

std::string describe_measures(const ProbeResult& probe) {
  std::string text;
  for (const ProbeMeasure& measure : probe.measures) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", measure.name,
                        format_measure(measure.value));
  }
  return text;
}

std::string describe_verdict(const Certificate& c) {
  int64_t passed = 0, failed = 0, not_run = 0;
  for (const ProbeResult& probe : c.probes) {
    ++(probe.verdict == Verdict::kPass   ? passed
       : probe.verdict == Verdict::kFail ? failed
                                         : not_run);
  }
  return fmt::format("{}: {} probes passed, {} failed, {} not run", verdict_name(c.verdict()),
                     passed, failed, not_run);
}

}  // namespace

std::string write_certificate_markdown(const Certificate& c) {
  std::string text = fmt::format("# Audit of a score\n\n**{}**\n\n", describe_verdict(c));
  text += fmt::format(
      "| what | |\n|---|---|\n| artifact, SHA-256 | {} |\n| tokenizer, SHA-256 | {} |\n"
      "| validation text | fingerprint {:016x}, {} tokens |\n"
      "| audited | its first {} tokens, {} chunks, seed {} |\n\n",
      c.artifact_sha256, c.tokenizer_sha256, c.val_fingerprint, c.val_tokens, c.audited_tokens,
      c.chunks, c.seed);
  text += "| id | probe | verdict | finding | measured |\n|---|---|---|---|---|\n";
  for (const ProbeResult& probe : c.probes) {
    text += fmt::format("| {} | {} | {} | {} | {} |\n", probe.id, probe.name,
                        verdict_name(probe.verdict), escape_markdown(probe.reason),
                        describe_measures(probe));
  }
  text +=
      "\nThe probes look at the first tokens alone: what a scorer does only later, they cannot "
      "see.\n\nScored as\n\n```\n";
  return text + c.configuration + "```\n";
}

std::string write_certificate_json(const Certificate& c) {
  JsonObject probes;
  for (const ProbeResult& probe : c.probes) {
    JsonObject measures;
    for (const ProbeMeasure& measure : probe.measures) measures.add(measure.name, measure.value);
    probes.add(probe.id, JsonObject()
                             .add("name", probe.name)
                             .add("verdict", verdict_name(probe.verdict))
                             .add("reason", probe.reason)
                             .add("measures", measures));
  }
  return JsonObject()
      .add("verdict", verdict_name(c.verdict()))
      .add("artifact_sha256", c.artifact_sha256)
      .add("tokenizer_sha256", c.tokenizer_sha256)
      .add("val_fingerprint", fmt::format("{:016x}", c.val_fingerprint))
      .add("val_tokens", c.val_tokens)
      .add("audited_tokens", c.audited_tokens)
      .add("chunks", c.chunks)
      .add("seed", static_cast<int64_t>(c.seed))
      .add("configuration", c.configuration)
      .add("probes", probes)
      .pretty();
}

std::string list_score_keys(const Recipe& recipe) {
  return write_recipe(recipe, RecipeComments::kNone, [](const FieldInfo& info) {
    return is_identifying(info, Affects::kScoring);
  });
}

namespace {

constexpr const char* kMarkdownName = "certificate.md";
constexpr const char* kJsonName = "certificate.json";

void write_listed(const std::filesystem::path& folder, const char* name, const std::string& text) {
  list_run_file(folder, name, sha256(as_bytes(text)));
  write_file_atomic(folder / name, text);
}

}  // namespace

CertificateFolder::CertificateFolder(const std::filesystem::path& folder) : folder_(folder) {
  lock_ = lock_folder(folder, escape_terminal(folder.string()));
  const RunFiles files(folder);
  for (const char* name : {kMarkdownName, kJsonName, ".run_files"}) {
    if (!files.is_foreign(name)) continue;
    throw Error(fmt::format(
        "the folder for the certificate holds what audit did not write, or what was changed since: "
        "{} in \"{}\"; choose another with --out, or move it away",
        name, escape_terminal(folder.string())));
  }
  remove_stray_files(folder);
}

void CertificateFolder::write(const Certificate& certificate) const {
  write_listed(folder_, kMarkdownName, write_certificate_markdown(certificate));
  write_listed(folder_, kJsonName, write_certificate_json(certificate));
}

}  // namespace pg
