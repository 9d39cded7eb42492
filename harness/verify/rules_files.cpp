// What must lie in a record folder, and what its submission.json must hold.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "harness/verify/rules.h"
#include "harness/verify/text_scan.h"

namespace pg {
namespace {

constexpr double kHighestBpb = 8;  // that of raw bytes

std::string show(const JsonEntry& entry) {
  if (entry.kind == JsonKind::kString) return fmt::format("\"{}\"", entry.text);
  if (entry.kind == JsonKind::kObject) return "an object";
  if (entry.kind == JsonKind::kArray) return "a list";
  return entry.text;
}

// "2026-04-30" or "2026-04-30T13:35:00Z".
bool is_contest_date(std::string_view date) {
  const auto has_form = [&](std::string_view form) {
    return date.size() == form.size() &&
           std::equal(date.begin(), date.end(), form.begin(), [](char c, char wanted) {
             return wanted == '0' ? is_digit_byte(c) : c == wanted;
           });
  };
  if (!has_form("0000-00-00") && !has_form("0000-00-00T00:00:00Z")) return false;
  const std::string_view day = date.substr(0, kFirstDay.size());
  return day >= kFirstDay && day <= kLastDay;
}

bool is_placeholder(std::string_view text) {
  const std::string lower = lower_ascii(trim_blanks(text));
  constexpr std::array kWhole = {"pending", "tbd",     "todo",      "tba", "n/a",   "none",
                                 "null",    "unknown", "xxx",       "???", "fixme", "...",
                                 "-",       "author",  "github_id", "name"};
  if (std::find(kWhole.begin(), kWhole.end(), lower) != kWhole.end()) return true;
  if (lower.size() >= 3 && lower.front() == '<' && lower.back() == '>') return true;
  for (const std::string_view part :
       {"yourname", "your_name", "your name", "your-name", "yourgithub", "your_github",
        "your github", "your-github", "your_id", "your id", "<fill", "fill in", "fill after",
        "placeholder", "to be filled", "to be measured", "yyyy-mm-dd", "tbd"}) {
    if (has_text(lower, part)) return true;
  }
  return lower.starts_with("pending");
}

void check_score_value(const RecordFacts& facts, std::vector<Finding>& findings) {
  const SubmissionFacts& json = facts.submission;
  const JsonEntry* score = json.find("val_bpb");
  const auto add = [&](const char* code, Severity severity, int64_t line, std::string evidence) {
    findings.push_back({code, severity, "submission.json", line, std::move(evidence)});
  };
  if (score == nullptr) {
    if (const JsonEntry* other = json.other_score()) {
      return add("val_bpb_missing", Severity::kWarn, other->line,
                 fmt::format("no key val_bpb; other: {} {}", other->path.front(), other->text));
    }
    return add("val_bpb_missing", Severity::kReject, 0, "no key val_bpb");
  }
  if (score->kind == JsonKind::kNull) {
    return add("val_bpb_missing", Severity::kReject, score->line, "val_bpb: null");
  }
  if (score->kind != JsonKind::kNumber) {
    const auto number = scan_number(score->text, 0);
    const bool is_plain = score->kind == JsonKind::kString && number &&
                          number->end == score->text.size() && std::isfinite(number->value);
    return add("val_bpb_not_number", is_plain ? Severity::kWarn : Severity::kReject, score->line,
               fmt::format("val_bpb: {}", show(*score)));
  }
  if (score->number <= 0 || score->number > kHighestBpb) {
    add("val_bpb_out_of_range", Severity::kReject, score->line,
        fmt::format("val_bpb: {}", score->text));
  } else if (score->number < kPlausibleBpb && facts.track != Track::kOwn) {
    add("score_implausible", Severity::kWarn, score->line,
        fmt::format("val_bpb: {} (best accepted 1.0565)", score->text));
  }
}

// Where the file cannot be read, its score's text may still be there.
void check_unread_score(const RecordFacts& facts, std::vector<Finding>& findings) {
  const std::string text = facts.folder->read_text("submission.json", 1 << 16).text;
  const auto score = number_after(text, "val_bpb");
  if (!score || score->value <= 0 || score->value >= kPlausibleBpb) return;
  findings.push_back({"score_implausible", Severity::kWarn, "submission.json", 0,
                      fmt::format("val_bpb: {} (best accepted 1.0565)", score->value)});
}

void check_placeholders(const RecordFacts& facts, std::vector<Finding>& findings) {
  std::string found;
  int64_t line = 0;
  for (const JsonEntry& entry : facts.submission.entries) {
    if (entry.path.size() != 1 || entry.kind != JsonKind::kString) continue;
    const std::string key = lower_ascii(entry.path.front());
    const bool counts = key == "author" || key == "github_id" || key == "github" || key == "id" ||
                        key == "date" || key == "run_date" || key == "val_bpb" ||
                        key == "val_loss" || has_text(key, "bytes");
    if (!counts || !is_placeholder(entry.text)) continue;
    if (found.empty()) line = entry.line;
    found += fmt::format("{}{}: {}", found.empty() ? "" : "; ", entry.path.front(), entry.text);
  }
  if (!found.empty()) {
    findings.push_back({"placeholder_text", Severity::kWarn, "submission.json", line, found});
  }
}

void check_date(const RecordFacts& facts, std::vector<Finding>& findings) {
  if (facts.track == Track::kOwn) return;
  const JsonEntry* date = facts.submission.find("date");
  if (date != nullptr && date->kind == JsonKind::kString && is_contest_date(date->text)) return;
  findings.push_back({"date_bad", Severity::kNote, "submission.json",
                      date == nullptr ? 0 : date->line,
                      fmt::format("date: {}", date == nullptr ? "null" : show(*date))});
}

}  // namespace

void check_files(const RecordFacts& facts, std::vector<Finding>& findings) {
  const RecordFolder& folder = *facts.folder;
  if (!facts.submission.is_there) {
    findings.push_back(
        {"json_missing", Severity::kReject, "", 0, "no submission.json at the folder root"});
    for (const FolderEntry& entry : folder.entries()) {
      if (entry.path == "submission.json" || base_name(entry.path) != "submission.json" ||
          entry.kind == EntryKind::kLink || entry.kind == EntryKind::kOther) {
        continue;
      }
      findings.push_back({"nested_folder", Severity::kReject, entry.path, 0,
                          "submission.json only in a sub-folder"});
      break;
    }
  }
  const FolderEntry* readme = folder.find("README.md");
  if (readme == nullptr) {
    findings.push_back({"readme_missing", Severity::kReject, "", 0, "no README.md"});
  }
  // Our own records carry their counted sources instead.
  const auto has_code = [&](const std::string& seed) { return folder.has(seed + "/code.zpaq"); };
  const bool has_own_code = facts.is_own_record ? folder.has("code.zpaq")
                                                : !facts.own_seeds.empty() &&
                                                      std::all_of(facts.own_seeds.begin(),
                                                                  facts.own_seeds.end(), has_code);
  if (!folder.has("train_gpt.py") && !has_own_code) {
    std::string others;
    for (const FolderEntry& entry : folder.entries()) {
      if (!entry.path.ends_with(".py") || others.size() > 200) continue;
      others += (others.empty() ? "" : ",") + entry.path;
    }
    findings.push_back({"code_missing", Severity::kReject, "", 0,
                        fmt::format("no train_gpt.py at the folder root; .py files: {}",
                                    others.empty() ? "none" : others)});
  }
  for (const FolderEntry& entry : folder.entries()) {
    if (entry.kind == EntryKind::kLink) {
      findings.push_back(
          {"symlink", Severity::kWarn, entry.path, 0, "symbolic link; not followed"});
    } else if (entry.kind == EntryKind::kOther) {
      findings.push_back(
          {"special_file", Severity::kWarn, entry.path, 0, "a pipe, socket or device; not opened"});
    }
  }
  if (folder.is_cut()) {
    findings.push_back({"folder_cut", Severity::kWarn, "", 0,
                        fmt::format("the folder has more than {} entries, or is deeper than {} "
                                    "levels: the rest was not looked at",
                                    RecordFolder::kMostEntries, RecordFolder::kMostDepth)});
  }
}

void check_submission(const RecordFacts& facts, std::vector<Finding>& findings) {
  const SubmissionFacts& json = facts.submission;
  if (!json.is_there) return;
  if (json.has_byte_order_mark) {
    findings.push_back({"json_bom", Severity::kWarn, "submission.json", 1, "starts with EF BB BF"});
  }
  if (!json.is_object()) {
    findings.push_back({"json_invalid", Severity::kReject, "submission.json", json.error_line,
                        fmt::format("invalid: {}", json.error)});
    return check_unread_score(facts, findings);
  }
  check_score_value(facts, findings);
  check_placeholders(facts, findings);
  check_date(facts, findings);
}

}  // namespace pg
