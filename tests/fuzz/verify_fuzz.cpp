// A record folder of any bytes: the first byte says what the rest is put in as, a log, submission.json
// or a table of known logs. The findings must be JSON and hold no control character, and no list of a
// log's lines may grow with the log.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include "harness/verify/finding.h"
#include "harness/verify/known_logs.h"
#include "harness/verify/log_reader.h"
#include "harness/verify/record_facts.h"
#include "harness/verify/record_folder.h"
#include "harness/verify/rules.h"
#include "harness/verify/score_match.h"
#include "src/base/error.h"
#include "src/text/json_object.h"

namespace {

const pg::RecordFolder& empty_folder() {
  static const pg::RecordFolder folder = [] {
    std::string name = (std::filesystem::temp_directory_path() / "pg_verify_XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) std::abort();
    return pg::RecordFolder(name);
  }();
  return folder;
}

void check(const pg::RecordFacts& facts) {
  std::vector<pg::Finding> findings;
  pg::check_files(facts, findings);
  pg::check_submission(facts, findings);
  pg::check_logs(facts, findings);
  pg::check_sizes(facts, findings);
  pg::check_clock(facts, findings);
  pg::check_seeds(facts, findings);
  pg::check_statistics(facts, findings);
  pg::check_scores(facts, findings);
  pg::check_val_bytes(facts, findings);
  pg::check_legality(facts, findings);
  const std::string json = pg::findings_json("folder", findings);
  if (!pg::explain_json_error(json).empty()) std::abort();
  for (const char c : json + pg::findings_text("folder", findings)) {
    if (static_cast<unsigned char>(c) < ' ' && c != '\n') std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  if (data[0] % 4 == 3) {
    try {
      (void)pg::KnownLogs::from_text(text, "index");
    } catch (const pg::Error&) {
    }
    return 0;
  }
  pg::RecordFacts facts;
  facts.folder = &empty_folder();
  facts.path = "folder";
  facts.submission =
      pg::SubmissionFacts(data[0] % 4 == 0 ? "{\"val_bpb\": 1.1, \"val_loss\": 1.9}" : text);
  facts.logs.push_back(data[0] % 4 == 1 ? pg::LogFacts() : pg::read_log_text(text));
  const pg::LogFacts& log = facts.logs[0];
  if (log.scores.size() > pg::kMostLines || log.totals.size() > pg::kMostLines) std::abort();
  facts.distinct_logs = {0};
  facts.known_logs = {nullptr};
  if (facts.submission.is_object()) facts.stated = facts.submission.stated_score();
  if (facts.stated) facts.match = pg::match_score(facts, *facts.stated);
  facts.seed_scores = pg::list_seed_scores(facts);
  facts.withdrawn = {false};
  check(facts);
  return 0;
}
