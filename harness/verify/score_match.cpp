#include "harness/verify/score_match.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <utility>

#include "harness/verify/text_scan.h"

namespace pg {
namespace {

struct Value {
  size_t log = 0;
  double bits_per_byte = 0;
  int decimals = 0;
  ScoreKind kind = ScoreKind::kEvaluation;
};

// One evaluation over all logs: the last line of its label in each.
using Groups = std::map<std::string, std::vector<Value>>;

Groups group_by_label(const RecordFacts& facts) {
  Groups groups;
  for (const size_t i : facts.distinct_logs) {
    std::map<std::string, Value> last;
    for (const LogScore& score : facts.logs[i].scores) {
      if (score.kind == ScoreKind::kProgress || score.kind == ScoreKind::kStep) continue;
      last[score.label] = {i, score.bits_per_byte, score.decimals, score.kind};
    }
    for (const auto& [label, value] : last) groups[label].push_back(value);
  }
  return groups;
}

// Better matches first: an evaluation before a diagnosis before a step's validation, a mean of more logs
// before one of fewer.
int rank_of(const ScoreMatch& match) {
  const int kind = match.kind == ScoreKind::kEvaluation ? 0
                   : match.kind == ScoreKind::kPrequant ? 1
                                                        : 2;
  return 4 * kind + (match.is_exact ? 0 : 2) + (match.is_last ? 0 : 1);
}

class Matcher {
 public:
  Matcher(const RecordFacts& facts, const StatedNumber& stated) : facts_(facts), stated_(stated) {
    for (const LogFacts& log : facts.logs) last_.push_back(last_evaluation(log));
    for (const JsonEntry& entry : facts.submission.entries) {
      if (entry.path.size() == 2 && entry.path.front() == "seeds") stated_seeds_.insert(entry.text);
    }
    for (const SeedEntry& entry : facts.submission.seed_entries()) {
      stated_seeds_.insert(std::to_string(entry.seed));
    }
  }

  ScoreMatch find() {
    try_lines();
    for (const auto& [label, values] : group_by_label(facts_)) try_means(label, values);
    std::vector<Value> finals;  // by whatever name
    for (const size_t i : facts_.distinct_logs) {
      if (const LogScore* last = last_[i]) {
        finals.push_back({i, last->bits_per_byte, last->decimals, last->kind});
      }
    }
    try_means("final score", finals);
    for (const size_t i : facts_.distinct_logs) try_runs(i);
    return best_;
  }

 private:
  bool is_last(size_t log, double value, int decimals) const {
    const LogScore* last = last_[log];
    return last == nullptr || std::abs(last->bits_per_byte - value) <=
                                  std::pow(10.0, -std::min({decimals, last->decimals, 4})) * 0.51;
  }

  void offer(ScoreMatch match, double value, int decimals) {
    const double off = std::abs(value - stated_.value);
    if (off < best_.nearest_off) {
      best_.nearest = value;
      best_.nearest_off = off;
      best_.nearest_label = match.label;
      best_.nearest_log = facts_.logs[match.logs.front()].path;
    }
    if (!is_equal_to_digits(stated_.value, stated_.decimals, value, decimals)) return;
    match.is_exact = off <= half_unit(stated_.decimals);
    if (best_.how != ScoreMatch::How::kNone && rank_of(best_) <= rank_of(match)) return;
    match.nearest = best_.nearest;
    match.nearest_off = best_.nearest_off;
    match.nearest_label = best_.nearest_label;
    match.nearest_log = best_.nearest_log;
    best_ = std::move(match);
  }

  void try_lines() {
    for (const size_t i : facts_.distinct_logs) {
      for (const LogScore& score : facts_.logs[i].scores) {
        if (score.kind == ScoreKind::kProgress) continue;
        ScoreMatch match;
        match.how = ScoreMatch::How::kSingle;
        match.kind = score.kind;
        match.label = score.label;
        match.logs = {i};
        match.is_last = is_last(i, score.bits_per_byte, score.decimals);
        offer(std::move(match), score.bits_per_byte, score.decimals);
      }
    }
  }

  // Several runs, one a seed, in one log.
  void try_runs(size_t log) {
    std::map<std::string, std::vector<Value>> runs;
    for (const LogScore& score : facts_.logs[log].scores) {
      if (score.kind != ScoreKind::kEvaluation) continue;
      runs[score.label].push_back({log, score.bits_per_byte, score.decimals, score.kind});
    }
    for (const auto& [label, values] : runs) {
      if (values.size() == facts_.logs[log].seeds.size() || values.size() == 3) {
        try_means(label, values);
      }
    }
  }

  void try_means(const std::string& label, const std::vector<Value>& values) {
    if (values.size() < 2) return;
    try_mean(label, values);
    std::vector<Value> named;  // by the seeds that the record counts
    for (const Value& value : values) {
      const std::vector<std::string> seeds = facts_.seeds_of(facts_.logs[value.log]);
      const bool is_named = std::any_of(seeds.begin(), seeds.end(), [&](const std::string& seed) {
        return stated_seeds_.contains(seed);
      });
      if (is_named) named.push_back(value);
    }
    if (named.size() >= 2 && named.size() < values.size()) try_mean(label, named);
    if (values.size() < 4 || values.size() > 64) return;
    for (size_t out = 0; out < values.size(); ++out) {
      std::vector<Value> others = values;
      others.erase(others.begin() + static_cast<std::ptrdiff_t>(out));
      try_mean(label, others);
    }
  }

  void try_mean(const std::string& label, const std::vector<Value>& values) {
    double sum = 0;
    int decimals = 17;
    ScoreMatch match;
    match.how = ScoreMatch::How::kMean;
    match.kind = values.front().kind;
    match.label = label;
    for (const Value& value : values) {
      sum += value.bits_per_byte;
      decimals = std::min(decimals, value.decimals);
      match.logs.push_back(value.log);
      match.is_last = match.is_last && is_last(value.log, value.bits_per_byte, value.decimals);
    }
    offer(std::move(match), sum / static_cast<double>(values.size()), decimals);
  }

  const RecordFacts& facts_;
  const StatedNumber& stated_;
  std::vector<const LogScore*> last_;  // evaluation of each log; null where it has none
  std::set<std::string> stated_seeds_;
  ScoreMatch best_;
};

}  // namespace

const LogScore* last_evaluation(const LogFacts& log) {
  for (auto score = log.scores.rbegin(); score != log.scores.rend(); ++score) {
    if (score->kind == ScoreKind::kEvaluation) return &*score;
  }
  return nullptr;
}

ScoreMatch match_score(const RecordFacts& facts, const StatedNumber& stated) {
  return Matcher(facts, stated).find();
}

bool is_number_in_logs(const RecordFacts& facts, const StatedNumber& stated) {
  constexpr int kTellingDecimals = 5;
  constexpr size_t kMostBytes = size_t{32} << 20;
  if (stated.decimals < kTellingDecimals || stated.decimals > 12) return false;
  for (const size_t i : facts.distinct_logs) {
    const std::string text = facts.folder->read_text(facts.logs[i].path, kMostBytes).text;
    for (size_t point = text.find('.'); point != std::string::npos;
         point = text.find('.', point + 1)) {
      size_t begin = point, end = point + 1;
      while (begin > 0 && point - begin < 4 && is_digit_byte(text[begin - 1])) --begin;
      while (end < text.size() && end - point < 24 && is_digit_byte(text[end])) ++end;
      if (begin == point || static_cast<int>(end - point - 1) < stated.decimals) continue;
      const auto number = scan_number(std::string_view(text).substr(begin, end - begin), 0);
      if (number && std::abs(number->value - stated.value) <= half_unit(stated.decimals))
        return true;
    }
  }
  return false;
}

std::vector<SeedClaim> list_seed_scores(const RecordFacts& facts) {
  std::vector<size_t> scored;
  for (const size_t i : facts.distinct_logs) {
    if (last_evaluation(facts.logs[i]) != nullptr) scored.push_back(i);
  }
  if (scored.empty()) return {};
  // The stated score's evaluation where all have it, else the last that all have.
  std::map<std::string, std::set<size_t>> logs_of_label;
  for (const size_t i : scored) {
    for (const LogScore& score : facts.logs[i].scores) {
      if (score.kind == ScoreKind::kEvaluation) logs_of_label[score.label].insert(i);
    }
  }
  const auto have_all = [&](const std::string& label) {
    const auto found = logs_of_label.find(label);
    return found != logs_of_label.end() && found->second.size() == scored.size();
  };
  std::string common;
  if (facts.match.how != ScoreMatch::How::kNone && have_all(facts.match.label)) {
    common = facts.match.label;
  } else {
    for (const LogScore& score : facts.logs[scored.front()].scores) {
      if (score.kind == ScoreKind::kEvaluation && have_all(score.label)) common = score.label;
    }
  }
  std::vector<SeedClaim> list;
  std::set<std::string> seen;
  for (const size_t i : scored) {
    const LogFacts& log = facts.logs[i];
    double value = last_evaluation(log)->bits_per_byte;
    for (const LogScore& score : log.scores) {
      if (score.kind == ScoreKind::kEvaluation && score.label == common)
        value = score.bits_per_byte;
    }
    const std::vector<std::string> seeds = facts.seeds_of(log);
    const std::string seed = seeds.size() == 1 ? seeds.front() : log.path;
    const bool is_comparable = !common.empty() || scored.size() == 1;
    if (seen.insert(seed).second) list.push_back({seed, value, i, is_comparable});
  }
  return list;
}

}  // namespace pg
