// Bytes: what the logs counted, what the folder states, what it ships.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "harness/verify/rules.h"
#include "harness/verify/text_scan.h"

namespace pg {
namespace {

constexpr int64_t kMismatchBytes = 10000, kLeastArtifactBytes = 200'000;
constexpr int64_t kMostCodeBytes = 1'000'000;  // of any record

// The total of code and packed model that a log ends in. A total of weights that are not packed comes
// before it in many logs.
std::optional<SizeLine> final_total(const LogFacts& log) {
  std::optional<SizeLine> last;
  for (const SizeLine& total : log.totals) {
    const auto is_raw_model = [&](int64_t raw) {
      return raw > 0 && total.bytes >= raw && total.bytes <= raw + kMostCodeBytes;
    };
    const bool is_raw = has_text(total.label, "raw") || has_text(total.label, "fp32") ||
                        std::any_of(log.raw_models.begin(), log.raw_models.end(), is_raw_model);
    if (!is_raw) last = total;
  }
  return last;
}

// Bytes of code inside a total.
std::optional<int64_t> counted_code(const LogFacts& log, const SizeLine& total) {
  for (auto model = log.packed_models.rbegin(); model != log.packed_models.rend(); ++model) {
    const int64_t code = total.bytes - model->bytes;
    if (std::find(log.code_sizes.begin(), log.code_sizes.end(), code) != log.code_sizes.end()) {
      return code;
    }
  }
  if (!log.code_sizes.empty()) return log.code_sizes.back();
  return std::nullopt;
}

std::optional<int64_t> shipped_code(const RecordFacts& facts) {
  const FolderEntry* code = facts.folder->find("train_gpt.py");
  if (code == nullptr || code->bytes < 0) return std::nullopt;
  return code->bytes;
}

void check_log_total(const RecordFacts& facts, const LogFacts& log, bool is_withdrawn,
                     std::vector<Finding>& findings) {
  const std::optional<SizeLine> total = final_total(log);
  if (!total) return;
  const std::optional<int64_t> code = counted_code(log, *total), shipped = shipped_code(facts);
  const int64_t with_shipped = code && shipped ? total->bytes - *code + *shipped : total->bytes;
  if (total->bytes > kCapBytes) {
    const bool fits = code && shipped && *shipped < *code && with_shipped <= kCapBytes;
    std::string evidence = fmt::format("total {}: {} bytes", total->label, total->bytes);
    if (fits) {
      evidence += fmt::format("; with the shipped train_gpt.py ({} for {} logged) {}", *shipped,
                              *code, with_shipped);
    }
    const Severity severity = is_withdrawn ? Severity::kNote
                              : fits       ? Severity::kWarn
                                           : Severity::kReject;
    findings.push_back({"size_over_cap", severity, log.path, total->line, evidence});
  } else if (with_shipped > kCapBytes) {
    findings.push_back(
        {"size_shipped_over_cap", Severity::kNote, log.path, total->line,
         fmt::format("total {} counts {} bytes of code, the shipped train_gpt.py has {}: {}",
                     total->bytes, *code, *shipped, with_shipped)});
  }
}

void check_stated(const RecordFacts& facts, std::vector<Finding>& findings) {
  const JsonEntry* size = facts.submission.stated_size();
  if (size == nullptr) return;
  const std::string& key = size->path.front();
  const auto add = [&](const char* code, Severity severity, std::string evidence) {
    findings.push_back({code, severity, "submission.json", size->line, std::move(evidence)});
  };
  if (size->kind != JsonKind::kNumber) {
    const char* quote = size->kind == JsonKind::kString ? "\"" : "";
    return add("size_bad_value", Severity::kWarn,
               fmt::format("{}: {}{}{}", key, quote,
                           size->kind == JsonKind::kObject  ? "an object"
                           : size->kind == JsonKind::kArray ? "a list"
                                                            : size->text,
                           quote));
  }
  const double bytes = size->number;
  if (bytes <= 0 || bytes < kLeastArtifactBytes) {
    return add("size_bad_value", Severity::kWarn, fmt::format("{}: {}", key, size->text));
  }
  if (bytes > kCapBytes) {
    add("size_stated_over_cap", Severity::kReject, fmt::format("{}: {}", key, size->text));
  }
  std::vector<double> candidates;
  double sum = 0;
  int64_t counted = 0;
  for (const size_t i : facts.distinct_logs) {
    const LogFacts& log = facts.logs[i];
    for (const SizeLine& total : log.totals) candidates.push_back(static_cast<double>(total.bytes));
    if (const auto total = final_total(log)) {
      sum += static_cast<double>(total->bytes);
      ++counted;
    }
    const std::optional<int64_t> shipped = shipped_code(facts);
    for (const SizeLine& model : log.packed_models) {
      if (shipped) candidates.push_back(static_cast<double>(model.bytes + *shipped));
      for (const int64_t code : log.code_sizes) {
        candidates.push_back(static_cast<double>(model.bytes + code));
      }
    }
  }
  if (candidates.empty()) return;
  if (counted > 0) candidates.push_back(sum / static_cast<double>(counted));
  const double nearest = *std::min_element(
      candidates.begin(), candidates.end(),
      [&](double a, double b) { return std::abs(a - bytes) < std::abs(b - bytes); });
  if (std::abs(nearest - bytes) > kMismatchBytes) {
    add("size_mismatch", Severity::kWarn,
        fmt::format("{}: {}; nearest total in the logs {:.0f}", key, size->text, nearest));
  }
}

void check_unit(const RecordFacts& facts, std::vector<Finding>& findings) {
  const auto takes_mebibytes = [](std::string_view lower) {
    const bool names_cap = has_text(lower, "16777216") || has_text(lower, "16,777,216") ||
                           has_text(lower, "16_777_216");
    const bool names_unit =
        has_word(lower, "16 mib") || has_word(lower, "16mib") || has_word(lower, "16.0 mib");
    const bool is_aside =
        has_text(lower, "not 16") || has_text(lower, "(not") || has_text(lower, "rather than");
    return (names_cap || names_unit) && !is_aside;
  };
  for (const JsonEntry& entry : facts.submission.entries) {
    if (entry.kind != JsonKind::kString && entry.kind != JsonKind::kNumber) continue;
    const std::string lower = lower_ascii(entry.text);
    if (!takes_mebibytes(lower)) continue;
    findings.push_back({"size_unit", Severity::kWarn, "submission.json", entry.line,
                        fmt::format("\"{}\": {}", entry.path.front(), entry.text)});
    return;
  }
  for (size_t i = 0; i < facts.readme_lower.size(); ++i) {
    if (!takes_mebibytes(facts.readme_lower[i])) continue;
    findings.push_back({"size_unit", Severity::kWarn, "README.md", static_cast<int64_t>(i) + 1,
                        facts.readme_lines[i]});
    return;
  }
  // "16,600,916 bytes" in a log and "15.83 MB" where the score is stated: MiB that are called MB.
  double largest = 0;
  for (const LogFacts& log : facts.logs) {
    if (const auto total = final_total(log))
      largest = std::max(largest, static_cast<double>(total->bytes));
  }
  if (largest <= kCapBytes) return;
  const std::string as_mebibytes = fmt::format("{:.2f}", largest / (1 << 20));
  for (const JsonEntry& entry : facts.submission.entries) {
    if (entry.kind != JsonKind::kString) continue;
    const std::string lower = lower_ascii(entry.text);
    const size_t at = lower.find(as_mebibytes);
    const bool as_megabytes =
        at != std::string::npos &&
        trim_blanks(std::string_view(lower).substr(at + as_mebibytes.size())).starts_with("mb");
    if (!as_megabytes && !has_text(lower, "under 16 mib")) continue;
    findings.push_back({"size_unit", Severity::kWarn, "submission.json", entry.line,
                        fmt::format("\"{}\": {}", entry.path.front(), entry.text)});
    return;
  }
}

void check_code_size(const RecordFacts& facts, std::vector<Finding>& findings) {
  std::vector<int64_t> logged;
  for (const LogFacts& log : facts.logs) {
    logged.insert(logged.end(), log.code_sizes.begin(), log.code_sizes.end());
  }
  if (logged.empty() || facts.is_own_record) return;
  constexpr int64_t kLineEnd = 2;  // a last line break, of one byte or two
  const auto is_logged = [&](int64_t bytes) {
    return std::any_of(logged.begin(), logged.end(),
                       [&](int64_t size) { return std::abs(size - bytes) <= kLineEnd; });
  };
  bool has_code = false;
  for (const FolderEntry& entry : facts.folder->entries()) {
    if (!entry.path.ends_with(".py") || entry.bytes < 0) continue;
    has_code = true;
    if (is_logged(entry.bytes)) return;
  }
  if (!has_code) return;
  const std::optional<int64_t> shipped = shipped_code(facts);
  findings.push_back({"code_size_differs", Severity::kNote, "", 0,
                      fmt::format("logged code size {}; train_gpt.py has {} bytes", logged.front(),
                                  shipped ? fmt::format("{}", *shipped) : "unknown")});
}

void check_seed_bytes(const RecordFacts& facts, std::vector<Finding>& findings) {
  for (const SeedEntry& entry : facts.submission.seed_entries()) {
    if (entry.artifact_bytes == nullptr) continue;
    const auto stated = static_cast<int64_t>(entry.artifact_bytes->number);
    const std::string seed = fmt::format("{}", entry.seed);
    int64_t nearest = -1;
    bool is_found = false;
    for (const LogFacts& log : facts.logs) {
      const std::vector<std::string> seeds = facts.seeds_of(log);
      if (std::find(seeds.begin(), seeds.end(), seed) == seeds.end()) continue;
      for (const SizeLine& size : log.totals) {
        is_found = is_found || size.bytes == stated;
        if (nearest < 0 || std::abs(size.bytes - stated) < std::abs(nearest - stated)) {
          nearest = size.bytes;
        }
      }
    }
    if (nearest < 0 || is_found) continue;
    findings.push_back(
        {"seed_bytes_mismatch", Severity::kNote, "submission.json", entry.artifact_bytes->line,
         fmt::format("seed {} artifact_bytes {}; its log has {}", entry.seed, stated, nearest)});
    return;
  }
}

}  // namespace

void check_sizes(const RecordFacts& facts, std::vector<Finding>& findings) {
  if (facts.track == Track::kOwn) return;  // its cap and its sizes: own_record.h
  for (size_t i = 0; i < facts.logs.size(); ++i) {
    check_log_total(facts, facts.logs[i], facts.withdrawn[i], findings);
  }
  check_stated(facts, findings);
  check_unit(facts, findings);
  check_code_size(facts, findings);
  check_seed_bytes(facts, findings);
}

}  // namespace pg
