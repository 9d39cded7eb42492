// The readers of a record folder's text alone, without the rules, which take ten times as long: by the
// first byte submission.json or a log, of any bytes. No list of a log's lines may grow with the log.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "harness/verify/log_reader.h"
#include "harness/verify/submission_facts.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  if (data[0] % 2 == 0) {
    const pg::SubmissionFacts facts(text);
    if (facts.is_object()) (void)facts.stated_score();
    return 0;
  }
  const pg::LogFacts log = pg::read_log_text(text);
  if (log.scores.size() > pg::kMostLines || log.totals.size() > pg::kMostLines) std::abort();
  return 0;
}
