// What a folder alone cannot tell: logs that are known from other records, its name, and what folders
// that are verified together have in common. Who wrote an earlier record is not in the table of known
// logs; a log counts as another's when the folder it was first seen in has another day, and this folder
// either claims no score of it or says nothing of what that folder's name says.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "harness/verify/rules.h"
#include "harness/verify/score_match.h"
#include "harness/verify/text_scan.h"

namespace pg {
namespace {

constexpr std::string_view kFirstDay = "2026-03-17", kLastDay = "2026-05-04";
constexpr size_t kDayBytes = 10;
constexpr int64_t kSameRunSteps = 10;
constexpr double kKnownWords = 0.4;

// "LeakyReLU_LegalTTT_ParallelMuon" -> leaky, relu, legal, ...: runs of letters and digits, split where
// a capital follows a small letter.
std::vector<std::string> words_of(std::string_view name) {
  std::vector<std::string> words;
  std::string word;
  const auto flush = [&] {
    if (word.size() >= 3) words.push_back(lower_ascii(word));
    word.clear();
  };
  char before = 0;
  for (const char c : name) {
    const bool is_capital = c >= 'A' && c <= 'Z', was_small = before >= 'a' && before <= 'z';
    if (!is_word_byte(c) || c == '_' || (is_capital && was_small)) flush();
    if (is_word_byte(c) && c != '_') word += c;
    before = c;
  }
  flush();
  return words;
}

// The share of a folder name's words that this folder's own text has.
double known_words(const RecordFacts& facts, std::string_view folder) {
  std::string_view name = base_name(folder);
  if (name.size() > kDayBytes && name.starts_with("2026-")) name.remove_prefix(kDayBytes);
  const std::vector<std::string> words = words_of(name);
  if (words.empty()) return 1;
  std::string text = facts.title;
  for (const char* key : {"blurb", "technique_summary", "description", "summary"}) {
    text += lower_ascii(facts.submission.text_of(key));
  }
  for (const std::string& line : facts.readme_lower) text += line;
  const auto known = std::count_if(words.begin(), words.end(),
                                   [&](const std::string& word) { return has_text(text, word); });
  return static_cast<double>(known) / static_cast<double>(words.size());
}

std::string_view day_of(std::string_view text) { return text.substr(0, kDayBytes); }

bool is_path_of(const RecordFacts& facts, std::string_view folder) {
  return base_name(facts.path) == base_name(folder);
}

// Whether the folder in the table is this one, as far as can be told.
bool is_own_folder(const RecordFacts& facts, std::string_view folder) {
  if (is_path_of(facts, folder)) return true;
  if (base_name(facts.path).starts_with("2026-")) return false;  // it has a name, and another
  if (day_of(base_name(folder)) == day_of(facts.submission.text_of("date"))) return true;
  const bool claims_it = facts.match.how != ScoreMatch::How::kNone;
  const double known = known_words(facts, folder);
  if (!facts.submission.is_object()) return known >= kKnownWords;
  return claims_it ? known >= kKnownWords : false;
}

void check_known_logs(const RecordFacts& facts, const KnownLogs& known,
                      std::vector<Finding>& findings) {
  std::vector<std::pair<const LogFacts*, const KnownLog*>> foreign;
  std::set<int64_t> own_requests;
  size_t known_count = 0;
  for (const LogFacts& log : facts.logs) {
    const KnownLog* first = known.find(log.sha256);
    if (first == nullptr) continue;
    ++known_count;
    if (is_own_folder(facts, first->folder)) {
      own_requests.insert(first->first_pr);
    } else {
      foreign.emplace_back(&log, first);
    }
  }
  const bool is_most = 2 * foreign.size() > facts.logs.size();
  for (const auto& [log, first] : foreign) {
    // One log among the folder's own is a baseline that its author kept.
    const bool is_copied = is_most;
    findings.push_back(
        {is_copied ? "log_copied_other" : "log_shared_own",
         is_copied ? Severity::kReject : Severity::kNote, log->path, 0,
         fmt::format("same bytes as a log of PR {}, {}", first->first_pr, first->folder)});
  }
  if (own_requests.size() == 1) {
    const size_t folders = known.folders_of(*own_requests.begin()).size();
    if (folders >= 2) {
      findings.push_back({"multi_folder_pr", Severity::kNote, "", 0,
                          fmt::format("the pull request adds {} record folders", folders)});
    }
  }
}

void check_folder_name(const RecordFacts& facts, std::vector<Finding>& findings) {
  const size_t records = facts.path.rfind("records/track_");
  if (records == std::string::npos) return;  // not where records lie: its name is its owner's
  const std::string_view place = std::string_view(facts.path).substr(records);
  const size_t slash = place.find('/', 8);
  if (slash == std::string_view::npos) return;
  const std::string_view track = place.substr(8, slash - 8), name = place.substr(slash + 1);
  const bool is_track = track == "track_10min_16mb" || track == "track_non_record_16mb";
  bool is_name = name.size() > kDayBytes + 1 && name[kDayBytes] == '_';
  for (const char c : name)
    is_name = is_name && (is_word_byte(c) || c == '-' || c == '.' || c == '+');
  const std::string_view day = day_of(name);
  if (is_track && is_name && day >= kFirstDay && day <= kLastDay) return;
  findings.push_back({"folder_name", Severity::kNote, "", 0, std::string(place)});
}

std::string author_of(const RecordFacts& facts) {
  for (const char* key : {"github_id", "github", "author"}) {
    const std::string author = lower_ascii(trim_blanks(facts.submission.text_of(key)));
    if (!author.empty()) return author;
  }
  return {};
}

// No evaluation of the log is named anywhere in the folder's own text.
bool names_no_result(const RecordFacts& facts, const LogFacts& log) {
  constexpr size_t kMostEvaluations = 64;
  size_t looked_at = 0;
  for (const LogScore& score : log.scores) {
    if (score.kind == ScoreKind::kStep) continue;
    if (++looked_at > kMostEvaluations) break;
    const std::string digits = fmt::format("{:.4f}", score.bits_per_byte);
    if (has_text(facts.readme, digits)) return false;
    for (const JsonEntry& entry : facts.submission.entries) {
      if (has_text(entry.text, digits)) return false;
    }
  }
  return !facts.readme.empty();
}

}  // namespace

void check_context(const RecordFacts& facts, const KnownLogs& known,
                   std::vector<Finding>& findings) {
  check_folder_name(facts, findings);
  if (!known.is_empty()) check_known_logs(facts, known, findings);
}

std::vector<std::vector<Finding>> compare_folders(const std::vector<RecordFacts>& folders) {
  std::vector<std::vector<Finding>> findings(folders.size());
  struct Seen {
    size_t folder, log;
  };
  std::map<Sha256, std::vector<Seen>> by_bytes;
  std::map<uint64_t, std::vector<Seen>> by_training;
  for (size_t f = 0; f < folders.size(); ++f) {
    for (const size_t l : folders[f].distinct_logs) {
      const LogFacts& log = folders[f].logs[l];
      by_bytes[log.sha256].push_back({f, l});
      if (log.step_lines >= kSameRunSteps) by_training[log.training_fingerprint].push_back({f, l});
    }
  }
  for (const auto& [sha256, seen] : by_bytes) {
    for (const Seen& here : seen) {
      const RecordFacts& facts = folders[here.folder];
      const LogFacts& log = facts.logs[here.log];
      for (const Seen& there : seen) {
        if (there.folder == here.folder) continue;
        const RecordFacts& other = folders[there.folder];
        const std::string author = author_of(facts), other_author = author_of(other);
        const std::string_view day = facts.submission.text_of("date"),
                               other_day = other.submission.text_of("date");
        const bool is_later = !other_day.empty() && day_of(day) > day_of(other_day);
        const bool is_copied =
            is_later && !author.empty() && !other_author.empty() && author != other_author;
        const std::string evidence =
            fmt::format("same bytes as {} of {}", other.logs[there.log].path, other.path);
        findings[here.folder].push_back({is_copied ? "log_copied_other" : "log_shared_own",
                                         is_copied ? Severity::kReject : Severity::kNote, log.path,
                                         0, evidence});
        if (!is_copied && names_no_result(facts, log) && !names_no_result(other, log)) {
          findings[here.folder].push_back(
              {"log_shared_other_claim", Severity::kReject, log.path, 0,
               evidence + ", which states its results; this folder states none of them"});
        }
        break;
      }
    }
  }
  for (const auto& [fingerprint, seen] : by_training) {
    for (const Seen& here : seen) {
      for (const Seen& there : seen) {
        const LogFacts& log = folders[here.folder].logs[here.log];
        const LogFacts& other = folders[there.folder].logs[there.log];
        if (there.folder == here.folder || log.sha256 == other.sha256) continue;
        findings[here.folder].push_back(
            {"log_same_run", Severity::kWarn, log.path, 0,
             fmt::format("its {} step lines are those of {} of {}, its results are not",
                         log.step_lines, other.path, folders[there.folder].path)});
        break;
      }
    }
  }
  return findings;
}

}  // namespace pg
