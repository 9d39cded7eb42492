// What a folder alone cannot tell: logs that are known from other records, its name, and what folders
// that are verified together have in common. Who wrote an earlier record is not in the table of known
// logs; a log counts as another's when the folder it was first seen in has another day, and this folder
// either states no score or says nothing of what that folder's name says.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "harness/verify/rules.h"
#include "harness/verify/score_match.h"
#include "harness/verify/text_scan.h"

namespace pg {
namespace {

constexpr size_t kDayBytes = 10;
constexpr int64_t kSameRunSteps = 10;
constexpr double kKnownWords = 0.34;

// "LeakyReLU_LegalTTT_ParallelMuon" -> leaky, relu, legal, ...: runs of letters or of digits, split
// where a capital follows a small letter.
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
    const bool is_break = (is_capital && was_small) ||
                          (is_word_byte(before) && is_digit_byte(before) != is_digit_byte(c));
    if (!is_word_byte(c) || c == '_' || is_break) flush();
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

// Whether the folder in the table is this one, as far as can be told.
bool is_own_folder(const RecordFacts& facts, std::string_view folder) {
  const std::string_view here = base_name(facts.path), there = base_name(folder);
  if (here == there) return true;
  if (here.starts_with("2026-")) return false;  // it has a name, and another
  const std::string_view day = day_of(facts.submission.text_of("date"));
  if (facts.readme.empty() && !facts.submission.is_object())
    return true;  // it says nothing of itself
  if (day == day_of(there)) return true;
  const bool is_like = known_words(facts, folder) >= kKnownWords;
  if (day.empty() || !there.starts_with("2026-")) return is_like;
  return is_like && facts.stated.has_value();
}

void note_folder_name(std::string_view folder, std::vector<Finding>& findings) {
  const size_t slash = folder.find('/');
  if (slash == std::string_view::npos) return;
  const std::string_view track = folder.substr(0, slash), name = folder.substr(slash + 1);
  const bool is_track = track == "track_10min_16mb" || track == "track_non_record_16mb";
  bool is_name = name.size() > kDayBytes + 1 && name[kDayBytes] == '_';
  for (const char c : name) {
    is_name = is_name && (is_word_byte(c) || c == '-' || c == '.' || c == '+');
  }
  const std::string_view day = day_of(name);
  if (is_track && is_name && day >= kFirstDay && day <= kLastDay) return;
  findings.push_back({"folder_name", Severity::kNote, "", 0, fmt::format("records/{}", folder)});
}

void check_known_logs(const RecordFacts& facts, const KnownLogs& known,
                      std::vector<Finding>& findings) {
  // Of logs that were first seen in several folders, only the latest can be this one.
  const KnownLog* latest = nullptr;
  for (const KnownLog* first : facts.known_logs) {
    if (first != nullptr && (latest == nullptr || first->first_pr > latest->first_pr))
      latest = first;
  }
  if (latest == nullptr) return;
  const bool has_own = is_own_folder(facts, latest->folder);
  std::vector<size_t> foreign;
  for (size_t i = 0; i < facts.logs.size(); ++i) {
    const KnownLog* first = facts.known_logs[i];
    if (first != nullptr && (!has_own || first->folder != latest->folder)) foreign.push_back(i);
  }
  // One log among the folder's own is a baseline that its author kept; logs of a record whose words
  // are used here, and whose score is, are its author's too.
  const bool are_most = 2 * foreign.size() > facts.logs.size();
  for (const size_t i : foreign) {
    const KnownLog& first = *facts.known_logs[i];
    const bool is_backed = has_own && facts.match.how != ScoreMatch::How::kNone &&
                           known_words(facts, first.folder) >= kKnownWords;
    const bool is_copied = are_most && !is_backed;
    findings.push_back(
        {is_copied ? "log_copied_other" : "log_shared_own",
         is_copied ? Severity::kReject : Severity::kNote, facts.logs[i].path, 0,
         fmt::format("same bytes as a log of PR {}, {}", first.first_pr, first.folder)});
  }
  if (!has_own) return;
  const size_t folders = known.folders_of(latest->first_pr).size();
  if (folders >= 2) {
    findings.push_back({"multi_folder_pr", Severity::kNote, "", 0,
                        fmt::format("the pull request adds {} record folders", folders)});
  }
  if (!has_text(facts.path, "records/track_")) note_folder_name(latest->folder, findings);
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

// Adds what two folders with a log of the same bytes have to say of it.
class SharedLog {
 public:
  SharedLog(const std::vector<RecordFacts>& folders, const std::vector<std::vector<Finding>>& known)
      : folders_(folders), known_(known) {}

  // The findings for the log of `here`, which folder `there` has too.
  std::vector<Finding> compare(size_t here, size_t log, size_t there, size_t other_log) const {
    const RecordFacts& facts = folders_[here];
    const RecordFacts& other = folders_[there];
    const std::string& path = facts.logs[log].path;
    const std::string& other_path = other.logs[other_log].path;
    if (is_copy(here, path) || is_copy(there, other_path)) return {};
    const std::string author = author_of(facts), other_author = author_of(other);
    const std::string_view day = day_of(facts.submission.text_of("date"));
    const std::string_view other_day = day_of(other.submission.text_of("date"));
    const bool are_two = !author.empty() && !other_author.empty() && author != other_author;
    const std::string evidence = fmt::format("same bytes as {} of {}", other_path, other.path);
    if (are_two && !day.empty() && !other_day.empty() && day != other_day) {
      if (day < other_day) return {};  // the other one took it
      return {{"log_copied_other", Severity::kReject, path, 0, evidence}};
    }
    if (names_no_result(facts, facts.logs[log]) && !names_no_result(other, other.logs[other_log])) {
      return {{"log_shared_other_claim", Severity::kReject, path, 0,
               evidence + ", which states its results; this folder states none of them"}};
    }
    return {{"log_shared_own", Severity::kNote, path, 0, evidence}};
  }

 private:
  bool is_copy(size_t folder, const std::string& path) const {
    return std::any_of(known_[folder].begin(), known_[folder].end(), [&](const Finding& finding) {
      return finding.code == "log_copied_other" && finding.file == path;
    });
  }

  const std::vector<RecordFacts>& folders_;
  const std::vector<std::vector<Finding>>& known_;
};

}  // namespace

void check_context(const RecordFacts& facts, const KnownLogs& known,
                   std::vector<Finding>& findings) {
  constexpr std::string_view kRecords = "records/";
  if (const size_t at = facts.path.rfind("records/track_"); at != std::string::npos) {
    note_folder_name(std::string_view(facts.path).substr(at + kRecords.size()), findings);
  }
  check_known_logs(facts, known, findings);
}

std::vector<std::vector<Finding>> compare_folders(const std::vector<RecordFacts>& folders,
                                                  const std::vector<std::vector<Finding>>& known) {
  const SharedLog shared(folders, known);
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
      for (const Seen& there : seen) {
        if (there.folder == here.folder) continue;
        const std::vector<Finding> of_log =
            shared.compare(here.folder, here.log, there.folder, there.log);
        findings[here.folder].insert(findings[here.folder].end(), of_log.begin(), of_log.end());
        if (!of_log.empty()) break;
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
