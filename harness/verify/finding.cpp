#include "harness/verify/finding.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>
#include <utility>

#include "src/text/text_escape.h"

namespace pg {
namespace {

// A stranger's line may be of any length.
constexpr size_t kMostEvidenceBytes = 400;

std::string cut_evidence(const std::string& evidence) {
  if (evidence.size() <= kMostEvidenceBytes) return evidence;
  size_t end = kMostEvidenceBytes;
  while (end > 0 && (static_cast<uint8_t>(evidence[end]) & 0xc0) == 0x80)
    --end;  // whole characters
  return evidence.substr(0, end) + "...";
}

}  // namespace

std::string_view folder_verdict(const std::vector<Finding>& findings) {
  Severity highest = Severity::kNote;
  for (const Finding& finding : findings) highest = std::max(highest, finding.severity);
  return highest == Severity::kNote ? "clean" : severity_name(highest);
}

std::vector<Finding> select_findings(std::vector<Finding> findings, int64_t most_per_code) {
  std::stable_sort(findings.begin(), findings.end(), [](const Finding& a, const Finding& b) {
    return std::tuple(-static_cast<int>(a.severity), a.code, a.file, a.line) <
           std::tuple(-static_cast<int>(b.severity), b.code, b.file, b.line);
  });
  std::vector<Finding> selected;
  std::map<std::string, int64_t> of_code;
  std::set<std::pair<std::string, std::string>> seen;
  for (Finding& finding : findings) {
    if (!seen.emplace(finding.code, finding.file).second) continue;
    if (++of_code[finding.code] > most_per_code) continue;
    selected.push_back(std::move(finding));
  }
  return selected;
}

std::string findings_json(std::string_view folder, const std::vector<Finding>& findings) {
  using Json = nlohmann::ordered_json;
  Json list = Json::array();
  for (const Finding& finding : findings) {
    list.push_back({{"code", finding.code},
                    {"severity", severity_name(finding.severity)},
                    {"file", finding.file.empty() ? Json() : Json(finding.file)},
                    {"line", finding.line > 0 ? Json(finding.line) : Json()},
                    {"evidence", cut_evidence(finding.evidence)}});
  }
  const Json json = {{"folder", folder}, {"verdict", folder_verdict(findings)}, {"findings", list}};
  // What a page that shows it would read as markup stands there by its number.
  std::string line;
  for (const char c : json.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace)) {
    if (c == '<' || c == '>' || c == '&') {
      line += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      line += c;
    }
  }
  return line;
}

std::string findings_text(std::string_view folder, const std::vector<Finding>& findings) {
  std::string text = fmt::format("{}  {}\n", escape_terminal(folder), folder_verdict(findings));
  for (const Finding& finding : findings) {
    std::string place = finding.file;
    if (finding.line > 0) place += fmt::format(":{}", finding.line);
    text += fmt::format("  {:<7}{:<28}{}{}{}\n", severity_name(finding.severity), finding.code,
                        escape_terminal(place), place.empty() ? "" : "  ",
                        escape_terminal(cut_evidence(finding.evidence)));
  }
  return text;
}

}  // namespace pg
