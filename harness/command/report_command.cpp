// `train_gpt report`: one HTML page about some runs.
#include <fmt/format.h>

#include <iterator>

#include "harness/command/commands.h"
#include "harness/command/output_path.h"
#include "harness/record/html_report.h"
#include "src/files/write_file.h"
#include "src/text/text_escape.h"
#include "src/text/text_format.h"

namespace pg {
namespace {

struct ReportWords {
  std::vector<std::filesystem::path> runs;
  std::filesystem::path out = "report.html";
};

std::vector<Option> list_options(ReportWords& w) {
  return {
      {.name = "runs",
       .value = &w.runs,
       .help = "folders of runs, records or sets of seeds",
       .is_required = true},
      {.name = "--out", .value = &w.out, .help = "page to write", .shows_default = true},
  };
}

int report(const ReportWords& words, Clock&) {
  prepare_output(words.out, {});
  std::vector<RunStory> stories;
  for (const std::filesystem::path& folder : words.runs) {
    std::ranges::move(read_run_stories(folder), std::back_inserter(stories));
  }
  const std::string page = write_html_report(stories);
  std::FILE* const summary = summary_stream(words.out);
  write_file_atomic(words.out, page);
  fmt::print(summary, "{}: {} run{}, {} bytes\n", escape_terminal(words.out.string()),
             stories.size(), stories.size() == 1 ? "" : "s", format_thousands(std::ssize(page)));
  return 0;
}

}  // namespace

Command make_report_command() {
  return make_command<ReportWords>("report", "one HTML page about runs: curves, bytes, recipes",
                                   list_options, report);
}

}  // namespace pg
