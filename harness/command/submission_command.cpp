// `train_gpt submission`: the folder that is handed in to the challenge, from a run's or a set of seeds'.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "harness/command/commands.h"
#include "harness/command/program_bundle.h"
#include "harness/record/submission_folder.h"
#include "harness/verify/verify_folder.h"
#include "src/base/bytes.h"
#include "src/base/check.h"
#include "src/base/error.h"
#include "src/text/text_escape.h"
#include "src/text/text_format.h"

namespace pg {
namespace {

struct SubmissionWords {
  std::filesystem::path record, out;  // out: empty for the working directory
  SubmissionNames names;
};

std::vector<Option> list_options(SubmissionWords& w) {
  return {
      {.name = "record",
       .value = &w.record,
       .help = "finished folder of train_gpt run or train_gpt seeds",
       .is_required = true},
      {.name = "--out",
       .value = &w.out,
       .help = "where records/track_.../<date>_<name> is made, as a clone of the challenge"},
      {.name = "--author", .value = &w.names.author, .help = "instead of record.author"},
      {.name = "--github-id", .value = &w.names.github_id, .help = "instead of record.github_id"},
      {.name = "--name", .value = &w.names.name, .help = "instead of record.name"},
  };
}

// The launcher with the recipe and the sources in it: a line of the recipe is a Python string.
std::string fill_launcher(const std::string& recipe) {
  std::string lines;
  for (size_t begin = 0; begin < recipe.size();) {
    const size_t end = std::min(recipe.find('\n', begin), recipe.size());
    lines += fmt::format("    {},\n", nlohmann::json(recipe.substr(begin, end - begin)).dump());
    begin = end + 1;
  }
  std::string text = launcher_text();
  // The sources first: what a recipe says comes before them, and may hold any mark.
  for (const auto& [mark, filling] :
       {std::pair<std::string_view, std::string>{"@SOURCES@", program_sources()},
        {"@RECIPE@", lines}}) {
    const size_t at = text.find(mark);
    PG_CHECK(at != std::string::npos, "the launcher has a place for it");
    text.replace(at, mark.size(), filling);
  }
  return text;
}

// Throws Error when a reviewer would turn the record down.
void require_accepted(const std::filesystem::path& record) {
  const FolderReport report = verify_folders({record}, {}).front();
  for (const Finding& finding : report.findings) {
    if (finding.severity != Severity::kReject) continue;
    throw Error(fmt::format("verify rejects the record: {} {}: {}", finding.code,
                            escape_terminal(finding.file), escape_terminal(finding.evidence)));
  }
}

int make_submission(const SubmissionWords& words, Clock&) {
  const std::vector<SeedPlace> places = list_seed_places(words.record);
  require_accepted(words.record);
  const std::string launcher = fill_launcher(read_text_file(places.front().folder / "recipe.toml"));
  const Submission submission =
      describe_submission(places, words.names, static_cast<int64_t>(launcher.size()));
  write_submission(words.out, places, submission, launcher);
  const std::filesystem::path folder = words.out / submission.folder;
  const FolderReport report = verify_folders({folder}, {}).front();
  fmt::print("{}", findings_text(folder.string(), report.findings));
  fmt::print("model {} + train_gpt.py {} = {} bytes; counted code of the logs {}\n",
             format_thousands(submission.most_model_bytes),
             format_thousands(submission.launcher_bytes),
             format_thousands(submission.total_bytes()), format_thousands(submission.scorer_bytes));
  return folder_verdict(report.findings) == severity_name(Severity::kReject) ? 1 : 0;
}

}  // namespace

Command make_submission_command() {
  return make_command<SubmissionWords>("submission",
                                       "the folder to hand in to the challenge, made from a record",
                                       list_options, make_submission);
}

}  // namespace pg
