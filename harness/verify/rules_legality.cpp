// Ways of scoring that no decoder could follow, by what a record says of itself. A line of a log that
// only such an evaluation prints is high confidence; a name or heading is medium; neither is a proof,
// and a record that hides what it does is not found here.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>

#include "harness/verify/rules.h"
#include "harness/verify/text_scan.h"

namespace pg {
namespace {

// The words before a word take it back: "no SLOT", "without pre-quant TTT".
bool is_denied(std::string_view lower, size_t at) {
  constexpr size_t kBefore = 40, kBehind = 80;
  const size_t from = at > kBefore ? at - kBefore : 0;
  std::string before(lower.substr(from, at - from));
  if (const size_t stop = before.find_last_of(".;\n"); stop != std::string::npos) {
    before.erase(0, stop + 1);
  }
  for (size_t track = before.find("non-record"); track != std::string::npos;
       track = before.find("non-record", track)) {
    before.erase(track, 10);  // the track, which denies nothing
  }
  for (const std::string_view word :
       {"no",     "not",      "non",        "without",  "never",    "instead of",
        "unlike", "drop",     "removes",    "removed",  "disabled", "free of",
        "avoids", "excludes", "can't",      "cannot",   "don't",    "doesn't",
        "isn't",  "wasn't",   "disallowed", "previous", "rejected"}) {
    if (has_word(before, word)) return true;
  }
  const std::string_view behind = lower.substr(at, kBehind);
  return has_text(behind, ": false") || has_text(behind, ": no,") || has_text(behind, "-free") ||
         has_text(behind, "| no |") || has_text(behind, "| **no") || has_text(behind, "illegal") ||
         has_text(behind, "removed") || has_text(behind, "rejected");
}

bool claims(std::string_view lower, std::string_view phrase) {
  for (size_t at = lower.find(phrase); at != std::string_view::npos;
       at = lower.find(phrase, at + 1)) {
    const bool is_word = at == 0 || !is_word_byte(lower[at - 1]);
    if (is_word && !is_denied(lower, at)) return true;
  }
  return false;
}

struct Place {
  std::string file;
  int64_t line = 0;
  std::string text;
};

class Legality {
 public:
  Legality(const RecordFacts& facts, std::vector<Finding>& findings)
      : facts_(facts), findings_(findings) {}

  // The first line of a log that shows it.
  bool find_in_logs(std::string_view code, Severity severity = Severity::kReject) {
    for (const LogFacts& log : facts_.logs) {
      for (auto method = log.methods.rbegin(); method != log.methods.rend(); ++method) {
        if (method->code != code || (code == "ttt_before_score" && log.is_score_first)) continue;
        add(code, severity, {log.path, method->at.line, method->at.text},
            severity == Severity::kReject ? "high" : "low");
        return true;
      }
    }
    return false;
  }

  // A phrase in the record's name or first heading.
  bool find_in_title(std::string_view code, std::initializer_list<std::string_view> phrases) {
    for (const std::string_view phrase : phrases) {
      if (!claims(facts_.title, phrase)) continue;
      add(code, Severity::kReject, place_of(phrase), "medium");
      return true;
    }
    return false;
  }

  // A phrase anywhere in README.md or the strings of submission.json.
  bool find_in_text(std::string_view code, std::initializer_list<std::string_view> phrases,
                    Severity severity) {
    for (const std::string_view phrase : phrases) {
      const Place place = place_of(phrase);
      if (place.file.empty()) continue;
      add(code, severity, place, severity == Severity::kReject ? "medium" : "low");
      return true;
    }
    return false;
  }

  // A phrase in the strings by which submission.json describes the record.
  bool find_in_blurb(std::string_view code, std::initializer_list<std::string_view> phrases) {
    for (const JsonEntry& entry : facts_.submission.entries) {
      if (!is_description(entry)) continue;
      const std::string lower = lower_ascii(entry.text);
      for (const std::string_view phrase : phrases) {
        if (!claims(lower, phrase) || !has_word(lower, phrase)) continue;
        add(code, Severity::kReject, {"submission.json", entry.line, entry.text}, "medium");
        return true;
      }
    }
    return false;
  }

  const std::string& title() const { return facts_.title; }
  void add_title(std::string_view code) {
    add(code, Severity::kReject,
        {facts_.readme.empty() ? "submission.json" : "README.md", 1, facts_.title}, "medium");
  }

 private:
  static bool is_description(const JsonEntry& entry) {
    if (entry.kind != JsonKind::kString || entry.path.size() != 1) return false;
    const std::string& key = entry.path.front();
    return key == "name" || key == "blurb" || key == "technique_summary" || key == "description" ||
           key == "summary";
  }

  Place place_of(std::string_view phrase) const {
    for (size_t i = 0; i < facts_.readme_lower.size(); ++i) {
      if (claims(facts_.readme_lower[i], phrase)) {
        return {"README.md", static_cast<int64_t>(i) + 1, facts_.readme_lines[i]};
      }
    }
    for (const JsonEntry& entry : facts_.submission.entries) {
      if (entry.kind == JsonKind::kString && claims(lower_ascii(entry.text), phrase)) {
        return {"submission.json", entry.line, entry.text};
      }
    }
    return {};
  }

  void add(std::string_view code, Severity severity, Place place, std::string_view confidence) {
    findings_.push_back({std::string(code), severity, place.file, place.line,
                         fmt::format("{} (confidence: {})", trim_blanks(place.text), confidence)});
  }

  const RecordFacts& facts_;
  std::vector<Finding>& findings_;
};

// "AdamW TTT (10ep)", "TTT 20 epochs": of several passes, where nothing says score first.
bool is_many_epoch_title(std::string_view title) {
  if (!has_word(title, "ttt") || has_text(title, "legal") || has_text(title, "score-first") ||
      has_text(title, "score first")) {
    return false;
  }
  for (size_t at = title.find("ep"); at != std::string_view::npos; at = title.find("ep", at + 1)) {
    size_t digit = at;
    while (digit > 0 && (title[digit - 1] == ' ' || title[digit - 1] == '-')) --digit;
    const bool is_epochs = title.substr(at).starts_with("epoch") || at + 2 >= title.size() ||
                           !is_word_byte(title[at + 2]);
    if (digit > 0 && is_digit_byte(title[digit - 1]) && is_epochs) {
      const bool is_one =
          title[digit - 1] == '1' && (digit < 2 || !is_digit_byte(title[digit - 2]));
      if (!is_one) return true;
    }
  }
  return false;
}

bool is_score_implausible(const RecordFacts& facts) {
  return facts.stated && facts.stated->value > 0 && facts.stated->value < kPlausibleBpb;
}

// Mixtures whose values are no distribution.
void check_mixtures(const RecordFacts& facts, Legality& legality) {
  if (!legality.find_in_logs("byte_mix") &&
      !legality.find_in_title("byte_mix",
                              {"ppm-d", "ppmd", "byte mixer", "byte-level mixture", "byte mixture",
                               "byte-level ppm", "byte ppm", "ppm byte", "ppm mixture"}) &&
      is_score_implausible(facts)) {
    legality.find_in_blurb("byte_mix",
                           {"ppm-d", "ppmd", "byte mixture", "byte-level mixture", "ppm"});
  }
  legality.find_in_logs("ngram_unproven", Severity::kWarn);
  // A legal tilt gains thousandths; a score like these comes from looking at the realised token.
  if (!legality.find_in_logs("ngram_unnormalised") && is_score_implausible(facts) &&
      !legality.find_in_title("ngram_unnormalised",
                              {"n-gram", "ngram", "7-gram", "5-gram", "9-gram", "backoff",
                               "hash cache", "multi-order"})) {
    legality.find_in_blurb("ngram_unnormalised",
                           {"n-gram cache", "ngram cache", "n-gram backoff", "ngram backoff",
                            "n-gram mixer", "n-gram mixing", "n-gram interpolation", "gram cache",
                            "gram backoff", "gram eval cache", "hashed n-gram", "n-gram", "ngram"});
  }
}

// Weights or deltas that learn from text before it is scored, and scores that are chosen afterwards.
void check_adaptation(const RecordFacts& facts, Legality& legality) {
  if (!legality.find_in_logs("slot")) {
    const bool is_named = has_word(legality.title(), "slot") && claims(legality.title(), "slot");
    if (is_named) {
      legality.find_in_title("slot", {"slot"});
    } else if (is_score_implausible(facts)) {
      legality.find_in_blurb("slot", {"slot"});
    }
  }
  const bool is_prequant =
      legality.find_in_logs("prequant_ttt") ||
      legality.find_in_title("prequant_ttt",
                             {"pre-quant ttt", "prequant ttt", "pre-quant adamw ttt", "prequantttt",
                              "pre-quantization ttt", "pre-quant_ttt", "prequant_ttt"}) ||
      legality.find_in_blurb("prequant_ttt", {"pre-quant ttt", "prequant ttt",
                                              "pre-quantization ttt", "pre-quant adamw ttt"});
  if (!legality.find_in_logs("ttt_before_score") && !is_prequant) {
    if (is_many_epoch_title(legality.title())) {
      legality.add_title("ttt_before_score");
    } else if (!has_text(legality.title(), "legal") && !has_text(legality.title(), "score-first")) {
      legality.find_in_text(
          "ttt_before_score",
          {"epochs over the val", "epochs on val", "epochs on the val", "epochs of sgd on val",
           "epochs over val", "adapt on the validation set", "fine-tune on the validation",
           "fine-tunes on the validation"},
          Severity::kReject);
    }
  }
  if (!legality.find_in_logs("two_pass_rescore")) {
    legality.find_in_title(
        "two_pass_rescore",
        {"two-pass n-gram", "two pass n-gram", "2-pass n-gram", "two-pass scor", "two-pass eval",
         "two-pass rescor", "rescoring", "full-rescore", "full rescore"});
  }
  if (!legality.find_in_logs("min_over_passes")) {
    legality.find_in_text("min_over_passes",
                          {"min-nll", "min nll", "minimum nll", "lowest nll", "min_nll", "min(pass",
                           "min(nll", "min over passes", "minimum over passes", "best-of-passes",
                           "keep the minimum", "min-loss epoch"},
                          Severity::kReject);
  }
}

// Validation text that was trained on, or shipped.
void check_data(Legality& legality) {
  if (!legality.find_in_logs("paid_prefix")) {
    legality.find_in_title("paid_prefix", {"paid prefix", "paid-prefix", "paidprefix",
                                           "paid_prefix", "prefix compression of val"});
  }
  if (!legality.find_in_logs("trained_on_val") &&
      !legality.find_in_title(
          "trained_on_val",
          {"val-only", "val only", "valonly", "trained on val", "train on val", "overfit val"})) {
    legality.find_in_text(
        "trained_on_val",
        {"trains on fineweb_val", "trained on fineweb_val", "trained on the validation shard",
         "trained on the validation split", "trained on validation shard",
         "training on the validation shard", "trained directly on val"},
        Severity::kReject);
  }
}

}  // namespace

void check_legality(const RecordFacts& facts, std::vector<Finding>& findings) {
  // Ours are scored by what decodes: own_record.h.
  if (facts.track == Track::kOwn) return;
  Legality legality(facts, findings);
  check_mixtures(facts, legality);
  check_adaptation(facts, legality);
  check_data(legality);
}

}  // namespace pg
