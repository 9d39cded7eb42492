// What the verifier says of a record folder: one finding a fault, by a code of the vocabulary in
// docs/verify.md, with how grave it is and the line it rests on.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pg {

enum class Severity {
  kNote,    // worth showing, no fault by itself
  kWarn,    // needs an answer from the author
  kReject,  // a reviewer would turn the record down for this alone
};

struct Finding {
  std::string code;
  Severity severity = Severity::kNote;
  std::string file;      // relative to the folder; empty: of the folder as a whole
  int64_t line = 0;      // from 1; 0: of the file as a whole
  std::string evidence;  // may hold a stranger's text: escape it for where it is shown
};

constexpr std::string_view severity_name(Severity severity) {
  if (severity == Severity::kReject) return "reject";
  return severity == Severity::kWarn ? "warn" : "note";
}

// "reject", "warn" or "clean": the highest severity; notes do not count.
std::string_view folder_verdict(const std::vector<Finding>& findings);

// Sorted by severity, code, file and line, at most `most_per_code` of one code, one a file.
std::vector<Finding> select_findings(std::vector<Finding> findings, int64_t most_per_code);

// {"folder":...,"verdict":...,"findings":[{"code","severity","file","line","evidence"}]}; file and
// line are null where there is none.
std::string findings_json(std::string_view folder, const std::vector<Finding>& findings);
// The same for people: a line for the verdict, one a finding. Control characters are shown as \x1b.
std::string findings_text(std::string_view folder, const std::vector<Finding>& findings);

}  // namespace pg
