#include "harness/verify/record_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "harness/verify/log_reader.h"
#include "harness/verify/own_record.h"
#include "harness/verify/score_match.h"
#include "harness/verify/text_scan.h"

namespace pg {
namespace {

constexpr size_t kMostReadmeBytes = size_t{1} << 20;
constexpr size_t kMostLogs = 400;

// Text files that are known not to be logs.
bool is_other_text(std::string_view lower_name) {
  for (const std::string_view head : {"requirements", "license", "readme", "notice", "changelog",
                                      "constraints", "notes", "cmakelists"}) {
    if (lower_name.starts_with(head)) return true;
  }
  return false;
}

bool is_log_name(std::string_view path) {
  const std::string name = lower_ascii(base_name(path));
  if (name.ends_with(".log") || name.ends_with(".out")) return true;
  return name.ends_with(".txt") && !is_other_text(name);
}

std::vector<std::string> split_lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

// Headings of the README's first part, the record's name and its one-line description.
std::string collect_title(const RecordFacts& facts) {
  std::string title;
  const auto add = [&](std::string_view text) { title += lower_ascii(text.substr(0, 600)) + '\n'; };
  for (const char* key : {"name", "record_name", "title", "headline_metric", "val_bpb_method"}) {
    add(facts.submission.text_of(key));
  }
  int headings = 0;
  for (const std::string& line : facts.readme_lines) {
    if (!line.starts_with("#")) continue;
    add(line);
    if (++headings == 1) break;
  }
  add(base_name(facts.path));
  return title;
}

Track find_track(const RecordFacts& facts) {
  const auto says_non_record = [](std::string_view lower) {
    return has_text(lower, "non_record") || has_text(lower, "non-record") ||
           has_text(lower, "nonrecord") || has_text(lower, "unlimited_compute");
  };
  const std::string path = lower_ascii(facts.path);
  const std::string track = lower_ascii(facts.submission.text_of("track"));
  if (has_text(path, "track_non_record")) return Track::kNonRecord;
  if (has_text(path, "track_10min_16mb")) return Track::kRecord;
  // Ours has the challenge's data, cap and clocks only where its track says so. A name in a stranger's
  // folder is not enough: the tape must be closed and bind an artifact that is there.
  const bool names_ours = track != "10min_16mb" && track != "non_record_16mb";
  const auto has_artifact = [&](const std::string& seed) {
    return !find_bound_artifact(*facts.folder, seed + '/').empty();
  };
  const bool is_own = facts.is_own_record ? !find_bound_artifact(*facts.folder).empty()
                                          : !facts.own_seeds.empty() &&
                                                std::all_of(facts.own_seeds.begin(),
                                                            facts.own_seeds.end(), has_artifact);
  if (is_own && names_ours) return Track::kOwn;
  for (const KnownLog* known : facts.known_logs) {
    if (known == nullptr) continue;
    return has_text(known->folder, "non_record") ? Track::kNonRecord : Track::kRecord;
  }
  if (!track.empty()) {
    return says_non_record(track) || track.starts_with("non") ? Track::kNonRecord : Track::kRecord;
  }
  return says_non_record(facts.title) ? Track::kNonRecord : Track::kRecord;
}

// "seed_7" of "seed_7/tape.jsonl", for each such file; none where the folder itself has a tape.
std::vector<std::string> list_own_seeds(const RecordFolder& folder) {
  constexpr std::string_view kHead = "seed_", kTail = "/tape.jsonl";
  std::vector<std::string> seeds;
  if (!folder.has("submission.json") || folder.has("tape.jsonl")) return seeds;
  for (const FolderEntry& entry : folder.entries()) {
    const std::string_view path = entry.path;
    if (entry.kind != EntryKind::kFile || !path.starts_with(kHead) || !path.ends_with(kTail)) {
      continue;
    }
    const std::string_view seed = path.substr(0, path.size() - kTail.size());
    const std::string_view digits = seed.substr(kHead.size());
    if (!digits.empty() && std::all_of(digits.begin(), digits.end(), is_digit_byte)) {
      seeds.emplace_back(seed);
    }
  }
  return seeds;
}

bool lies_in_own_seed(const RecordFacts& facts, std::string_view path) {
  const size_t slash = path.find('/');
  return slash != std::string_view::npos &&
         std::find(facts.own_seeds.begin(), facts.own_seeds.end(), path.substr(0, slash)) !=
             facts.own_seeds.end();
}

// "train_seed42.log", "seed_0.log", "train_seeds_42_999.log", "final_e7_s1337_ttt.log".
std::vector<std::string> seeds_in_name(std::string_view path) {
  const std::string name = lower_ascii(base_name(path));
  std::vector<std::string> seeds;
  size_t at = name.find("seed");
  size_t behind = at == std::string::npos ? at : at + 4;
  if (at == std::string::npos) {
    at = name.find("_s");
    if (at == std::string::npos || at + 2 >= name.size() || !is_digit_byte(name[at + 2]))
      return seeds;
    behind = at + 2;
  } else if (behind < name.size() && name[behind] == 's') {
    ++behind;
  }
  while (behind < name.size()) {
    if (name[behind] == '_' || name[behind] == '-' || name[behind] == '=') ++behind;
    size_t end = behind;
    while (end < name.size() && is_digit_byte(name[end])) ++end;
    if (end == behind || end - behind > 12) break;
    seeds.push_back(name.substr(behind, end - behind));
    behind = end;
  }
  return seeds;
}

bool says_withdrawn(std::string_view lower) {
  for (const std::string_view word :
       {"withdrawn",          "superseded",  "supersede",    "invalid",       "deprecated",
        "do not use",         "not used",    "discard",      "excluded",      "pre-fix",
        "before the fix",     "uncorrected", "buggy",        "historical",    "not part of",
        "earlier run",        "over budget", "over the cap", "non-compliant", "diagnostic only",
        "for reference only", "retracted",   "obsolete",     "previous run",  "original run"}) {
    if (has_text(lower, word)) return true;
  }
  return false;
}

bool is_withdrawn(const RecordFacts& facts, size_t log) {
  const std::string name = lower_ascii(base_name(facts.logs[log].path));
  for (const std::string& line : facts.readme_lower) {
    if (has_text(line, name) && says_withdrawn(line)) return true;
  }
  const std::vector<size_t>& used_logs = facts.match.logs;
  if (facts.match.how != ScoreMatch::How::kMean) return false;
  if (std::find(used_logs.begin(), used_logs.end(), log) != used_logs.end()) return false;
  const std::vector<std::string> seeds = facts.seeds_of(facts.logs[log]);
  return !seeds.empty() && std::any_of(used_logs.begin(), used_logs.end(), [&](size_t used) {
    return facts.logs[used].sha256 != facts.logs[log].sha256 &&
           facts.seeds_of(facts.logs[used]) == seeds;
  });
}

}  // namespace

bool is_equal_to_digits(double stated, int stated_decimals, double value, int value_decimals) {
  return std::abs(stated - value) <=
         std::max(half_unit(stated_decimals), half_unit(std::max(value_decimals, 4)));
}

double bytes_per_token(const LogScore& score) {
  if (!score.loss_nats || score.bits_per_byte <= 0 || *score.loss_nats <= 0) return 0;
  // Rounding must not matter beside 0.1 %.
  if (half_unit(score.decimals) > 1e-3 * score.bits_per_byte ||
      half_unit(score.loss_decimals) > 1e-3 * *score.loss_nats) {
    return 0;
  }
  return *score.loss_nats / (kLn2 * score.bits_per_byte);
}

double RecordFacts::bytes_per_token(const LogFacts& log) const {
  std::vector<double> ratios;
  for (const LogScore& score : log.scores) {
    if (score.kind == ScoreKind::kProgress) continue;
    if (const double ratio = pg::bytes_per_token(score); ratio > 0) ratios.push_back(ratio);
  }
  if (ratios.empty()) return 0;
  std::nth_element(ratios.begin(), ratios.begin() + std::ssize(ratios) / 2, ratios.end());
  return ratios[ratios.size() / 2];
}

bool RecordFacts::has_evaluation() const {
  return std::any_of(logs.begin(), logs.end(), [](const LogFacts& log) {
    return std::any_of(log.scores.begin(), log.scores.end(), [](const LogScore& score) {
      return score.kind == ScoreKind::kEvaluation || score.kind == ScoreKind::kPrequant;
    });
  });
}

std::vector<std::string> RecordFacts::seeds_of(const LogFacts& log) const {
  std::vector<std::string> seeds;
  std::set<std::string> seen;
  for (const NumberLine& seed : log.seeds) {
    std::string text = fmt::format("{:.0f}", seed.value);
    if (seen.insert(text).second && seeds.size() < 64) seeds.push_back(std::move(text));
  }
  return seeds.empty() ? seeds_in_name(log.path) : seeds;
}

bool RecordFacts::states_correction() const {
  if (!stated || match.how != ScoreMatch::How::kNone) return false;
  for (const std::string& lower : readme_lower) {
    for (const std::string_view word : {"errata", "erratum", "corrected", "rescore", "re-score",
                                        "denominator", "byte-count", "byte count"}) {
      if (has_text(lower, word)) return true;
    }
  }
  return false;
}

std::string add_code_sizes(RecordFolder& folder) {
  constexpr std::string_view kName = "code_sizes.json";
  if (!folder.has(kName)) return {};
  for (const FolderEntry& entry : folder.entries()) {
    const std::string name = lower_ascii(base_name(entry.path));
    const bool is_data = name == "submission.json" || name == "readme.md" || name == kName ||
                         entry.kind != EntryKind::kFile || is_log_name(entry.path);
    if (!is_data) {
      return fmt::format("the folder holds files of its own, \"{}\" for one", entry.path);
    }
  }
  constexpr size_t kMostBytes = size_t{1} << 20;
  const FolderText text = folder.read_text(kName, kMostBytes);
  const SubmissionFacts list(text.text);
  if (!list.is_object()) return fmt::format("it is no list of sizes: {}", list.error);
  std::map<std::string, int64_t> bytes_of_name;
  for (const JsonEntry& entry : list.entries) {
    if (entry.path.size() != 1) return "it is no list of sizes";
    const bool is_size =
        entry.kind == JsonKind::kNumber && entry.number >= 0 && entry.number < 1e15;
    bytes_of_name[entry.path.front()] = is_size ? static_cast<int64_t>(entry.number) : -1;
  }
  folder.add_stand_ins(bytes_of_name);
  return {};
}

RecordFacts collect_facts(const RecordFolder& folder, const std::string& path,
                          const KnownLogs& known) {
  RecordFacts facts;
  facts.folder = &folder;
  facts.path = path;
  const auto is_here = [&](std::string_view name) {
    const FolderEntry* entry = folder.find(name);
    return entry != nullptr && entry->kind == EntryKind::kFile;
  };
  facts.is_own_record = is_here("tape.jsonl");
  facts.own_seeds = list_own_seeds(folder);
  if (is_here("submission.json")) {
    facts.submission =
        SubmissionFacts(folder.read_text("submission.json", SubmissionFacts::kMostBytes).text);
  }
  facts.readme = folder.read_text("README.md", kMostReadmeBytes).text;
  facts.readme_lines = split_lines(facts.readme);
  for (const std::string& line : facts.readme_lines) {
    facts.readme_lower.push_back(lower_ascii(line));
  }
  facts.title = collect_title(facts);
  int64_t bytes_left = kMostLogBytes;
  for (const FolderEntry& entry : folder.entries()) {
    if (entry.kind != EntryKind::kFile || !is_log_name(entry.path)) continue;
    if (lies_in_own_seed(facts, entry.path)) continue;
    if (facts.log_paths.size() >= kMostLogs) break;
    LogFacts log = read_log(folder, entry.path, bytes_left);
    bytes_left -= log.bytes;
    // A text file beside the logs that tells of no run.
    const bool is_text = lower_ascii(entry.path).ends_with(".txt");
    const bool tells = log.step_lines > 0 || !log.scores.empty() || log.header_lines > 0;
    const std::string name = lower_ascii(base_name(entry.path));
    if (is_text && !tells && !has_text(name, "log") && !has_text(name, "train") &&
        !has_text(name, "seed") && !has_text(name, "run")) {
      continue;
    }
    facts.log_paths.push_back(entry.path);
    if (log.is_blank) {
      facts.empty_logs.push_back(entry.path);
    } else {
      facts.logs.push_back(std::move(log));
    }
  }
  for (const LogFacts& log : facts.logs) facts.known_logs.push_back(known.find(log.sha256));
  facts.track = find_track(facts);
  std::set<Sha256> seen;
  for (size_t i = 0; i < facts.logs.size(); ++i) {
    if (seen.insert(facts.logs[i].sha256).second) facts.distinct_logs.push_back(i);
  }
  facts.stated = facts.submission.is_object() ? facts.submission.stated_score() : std::nullopt;
  if (facts.stated) facts.match = match_score(facts, *facts.stated);
  facts.seed_scores = list_seed_scores(facts);
  for (size_t i = 0; i < facts.logs.size(); ++i) facts.withdrawn.push_back(is_withdrawn(facts, i));
  return facts;
}

}  // namespace pg
