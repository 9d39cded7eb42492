#include "harness/verify/submission_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "harness/verify/text_scan.h"
#include "src/text/json_object.h"

namespace pg {
namespace {

using Json = nlohmann::json;

int count_decimals(std::string_view number) {
  const size_t point = number.find('.');
  if (point == std::string_view::npos) return 0;
  size_t end = point + 1;
  while (end < number.size() && is_digit_byte(number[end])) ++end;
  while (end > point + 1 && number[end - 1] == '0') --end;  // 1.1150 may be what 1.115 was read as
  return static_cast<int>(end - point - 1);
}

// Hears of a text's values in order. The library's parser keeps its own stack, so that depth costs
// none of the program's; lines are found by looking for each key behind the last.
class EntryReader final : public nlohmann::json_sax<Json> {
 public:
  EntryReader(std::string_view text, std::vector<JsonEntry>& entries)
      : text_(text), entries_(entries) {}

  std::string refusal;  // why reading was given up, of what is JSON
  bool is_object = false;

  bool null() override { return add(JsonKind::kNull, 0, "null"); }
  bool boolean(bool value) override {
    return add(JsonKind::kBool, value, value ? "true" : "false");
  }
  bool number_integer(number_integer_t value) override {
    return add(JsonKind::kNumber, static_cast<double>(value), std::to_string(value));
  }
  bool number_unsigned(number_unsigned_t value) override {
    return add(JsonKind::kNumber, static_cast<double>(value), std::to_string(value));
  }
  bool number_float(number_float_t value, const string_t& text) override {
    return add(JsonKind::kNumber, value, text);
  }
  bool string(string_t& value) override { return add(JsonKind::kString, 0, value); }
  bool binary(binary_t&) override { return false; }  // not of text

  bool start_object(std::size_t) override { return open(JsonKind::kObject); }
  bool start_array(std::size_t) override { return open(JsonKind::kArray); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    stack_.back().name = name;
    const size_t found = text_.find('"' + name + '"', at_);
    if (found != std::string_view::npos) {  // a key with escapes is not
      line_ += std::count(text_.begin() + static_cast<std::ptrdiff_t>(at_),
                          text_.begin() + static_cast<std::ptrdiff_t>(found), '\n');
      at_ = found;
    }
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const Json::exception&) override {
    return false;
  }

 private:
  struct Level {
    bool is_list = false;
    int64_t next = 0;
    std::string name;
  };

  bool refuse(std::string why) {
    refusal = std::move(why);
    return false;
  }

  bool add(JsonKind kind, double number, std::string text) {
    if (entries_.size() >= SubmissionFacts::kMostEntries) {
      return refuse(fmt::format("it holds more than {} values", SubmissionFacts::kMostEntries));
    }
    if (stack_.empty()) {  // a value alone, or the outermost
      if (kind == JsonKind::kObject) is_object = true;
      return true;
    }
    JsonEntry entry;
    for (const Level& level : stack_) {
      entry.path.push_back(level.is_list ? std::to_string(level.next) : level.name);
    }
    if (stack_.back().is_list) ++stack_.back().next;
    entry.kind = kind;
    entry.number = number;
    entry.decimals = kind == JsonKind::kNumber ? count_decimals(text) : 0;
    entry.text = std::move(text);
    entry.line = line_;
    entries_.push_back(std::move(entry));
    return true;
  }

  bool open(JsonKind kind) {
    if (stack_.size() >= SubmissionFacts::kMostDepth) {
      return refuse(fmt::format("it is nested deeper than {} levels", SubmissionFacts::kMostDepth));
    }
    if (!add(kind, 0, "")) return false;
    // The level's own index has gone on: of what lies inside the path names the one before.
    if (!stack_.empty() && stack_.back().is_list) --stack_.back().next;
    stack_.push_back({kind == JsonKind::kArray, 0, ""});
    return true;
  }

  bool close() {
    stack_.pop_back();
    if (!stack_.empty() && stack_.back().is_list) ++stack_.back().next;
    return true;
  }

  std::string_view text_;
  std::vector<JsonEntry>& entries_;
  std::vector<Level> stack_;
  size_t at_ = 0;
  int64_t line_ = 1;
};

int64_t line_of_error(std::string_view explanation) {
  const auto line = number_after(explanation, "line");
  return line ? static_cast<int64_t>(line->value) : 1;
}

// Keys that tell of another score than the record's own.
bool is_foreign_score(std::string_view key) {
  for (const std::string_view part :
       {"baseline", "base_", "delta", "std", "sota", "leaderboard", "pre_quant", "prequant",
        "improvement", "benchmark", "previous", "note", "method", "prior", "target", "diagnostic",
        "pre_ttt"}) {
    if (key.find(part) != std::string_view::npos) return true;
  }
  return false;
}

std::optional<int64_t> read_seed(std::string_view name) {
  for (const std::string_view head : {"seed_", "seed", "s"}) {
    if (name.starts_with(head)) {
      name.remove_prefix(head.size());
      break;
    }
  }
  int64_t seed = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), seed);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return seed;
}

bool is_size_key(std::string_view key) {
  return key == "artifact_bytes" || key == "bytes_total" || key == "total_bytes" ||
         key == "artifact_size_bytes" || key == "submission_bytes" || key == "artifact_size" ||
         key == "total_submission_bytes";
}

// How well a key inside one seed's object names its score; 0: not at all.
int rank_score_key(std::string_view key) {
  if (key == "val_bpb") return 9;
  if (key == "val_bpb_exact") return 8;
  if (key == "final_val_bpb" || key == "final_bpb") return 7;
  if (key == "bpb") return 6;
  return 0;
}

}  // namespace

SubmissionFacts::SubmissionFacts(std::string_view text) : is_there(true) {
  if (text.starts_with("\xef\xbb\xbf")) {
    has_byte_order_mark = true;
    text.remove_prefix(3);
  }
  if (text.size() >= kMostBytes) {
    error = fmt::format("it is longer than {} bytes", kMostBytes);
    return;
  }
  EntryReader reader(text, entries);
  const bool is_read = Json::sax_parse(text, &reader);
  if (is_read && reader.is_object) return;
  entries.clear();
  if (!reader.refusal.empty()) {
    error = reader.refusal;
  } else if (is_read) {
    error = "it is no JSON object";
  } else {
    error = explain_json_error(text);
    error_line = line_of_error(error);
    if (error.empty()) error = "it is no JSON";
  }
}

const JsonEntry* SubmissionFacts::find(std::string_view key) const {
  for (const JsonEntry& entry : entries) {
    if (entry.path.size() == 1 && entry.path.front() == key) return &entry;
  }
  return nullptr;
}

std::string_view SubmissionFacts::text_of(std::string_view key) const {
  const JsonEntry* entry = find(key);
  return entry != nullptr && entry->kind == JsonKind::kString ? std::string_view(entry->text)
                                                              : std::string_view();
}

const JsonEntry* SubmissionFacts::other_score() const {
  for (const std::string_view best :
       {"mean_val_bpb", "val_bpb_mean", "val_bpb_3seed_mean", "mean_bpb", "bpb", "final_val_bpb"}) {
    const JsonEntry* entry = find(best);
    if (entry != nullptr && entry->kind == JsonKind::kNumber) return entry;
  }
  for (const JsonEntry& entry : entries) {
    if (entry.path.size() != 1 || entry.kind != JsonKind::kNumber) continue;
    const std::string key = lower_ascii(entry.path.front());
    if (has_text(key, "bpb") && !is_foreign_score(key)) return &entry;
  }
  return nullptr;
}

std::optional<StatedNumber> SubmissionFacts::stated_score() const {
  const JsonEntry* entry = find("val_bpb");
  if (entry != nullptr && entry->kind == JsonKind::kString) {
    const auto number = scan_number(entry->text, 0);
    if (number && number->end == entry->text.size() && std::isfinite(number->value)) {
      return StatedNumber{entry, number->value, number->decimals};
    }
  }
  if (entry == nullptr) entry = other_score();
  if (entry == nullptr || entry->kind != JsonKind::kNumber) return std::nullopt;
  int decimals = entry->decimals;
  if (entry->text.find_first_of("eE") != std::string::npos) decimals = 17;  // 3.5e-07
  return StatedNumber{entry, entry->number, decimals};
}

const JsonEntry* SubmissionFacts::stated_size() const {
  for (const std::string_view key :
       {"bytes_total", "artifact_bytes_max", "artifact_bytes", "artifact_size_bytes", "total_bytes",
        "submission_bytes", "total_submission_bytes", "submission_size_bytes"}) {
    if (const JsonEntry* entry = find(key); entry != nullptr && entry->kind != JsonKind::kNull) {
      return entry;
    }
  }
  return nullptr;
}

std::vector<SeedEntry> SubmissionFacts::seed_entries() const {
  std::map<int64_t, SeedEntry> seeds;
  std::map<int64_t, int> ranks;
  const auto add = [&](int64_t seed, const JsonEntry& entry, std::string_view key) {
    SeedEntry& of_seed = seeds.emplace(seed, SeedEntry{seed, nullptr, nullptr}).first->second;
    if (is_size_key(key) && entry.kind == JsonKind::kNumber) {
      if (of_seed.artifact_bytes == nullptr) of_seed.artifact_bytes = &entry;
    } else if (const int rank = rank_score_key(key);
               rank > ranks[seed] &&
               (entry.kind == JsonKind::kNumber || entry.kind == JsonKind::kString)) {
      of_seed.bits_per_byte = &entry;
      ranks[seed] = rank;
    }
  };
  // Lists go by the order of "seeds".
  std::map<std::string, JsonKind> top_kinds;
  std::vector<int64_t> listed_seeds;
  for (const JsonEntry& entry : entries) {
    if (entry.path.size() == 1) top_kinds[entry.path.front()] = entry.kind;
    if (entry.path.size() == 2 && entry.path.front() == "seeds" &&
        entry.kind == JsonKind::kNumber && std::abs(entry.number) < 1e15) {
      listed_seeds.push_back(static_cast<int64_t>(entry.number));
    }
  }
  const auto seed_of_key = [&](const JsonEntry& entry) -> std::optional<int64_t> {
    const std::optional<int64_t> number = read_seed(entry.path[1]);
    if (!number || top_kinds[entry.path.front()] != JsonKind::kArray) return number;
    if (*number < 0 || *number >= std::ssize(listed_seeds)) return std::nullopt;
    return listed_seeds[static_cast<size_t>(*number)];
  };
  // Lists of objects that name their seed: "runs": [{"seed": 42, "val_bpb": ...}].
  std::map<std::string, int64_t> seed_of_item;
  for (const JsonEntry& entry : entries) {
    if (entry.path.size() == 3 && entry.path[2] == "seed" && entry.kind == JsonKind::kNumber &&
        std::abs(entry.number) < 1e15) {
      seed_of_item[entry.path[0] + '\0' + entry.path[1]] = static_cast<int64_t>(entry.number);
    }
  }
  for (const JsonEntry& entry : entries) {
    const std::string top = lower_ascii(entry.path.front());
    // {"seed_results": {"42": 1.1173}}, {"val_bpb_seeds": {...}}, {"artifact_bytes_per_seed": {...}}
    if (entry.path.size() == 2 && has_text(top, "seed") &&
        (entry.kind == JsonKind::kNumber || entry.kind == JsonKind::kString)) {
      if (const auto seed = seed_of_key(entry); seed && !is_foreign_score(top)) {
        if (has_text(top, "bytes")) {
          add(*seed, entry, "artifact_bytes");
        } else if (top == "seed_results" ||
                   (top == "seeds" && top_kinds[entry.path.front()] == JsonKind::kObject) ||
                   has_text(top, "bpb") || has_text(top, "score")) {
          if (entry.number < 100) add(*seed, entry, "val_bpb");
        }
      } else if (const auto own = read_seed(top); own && top.starts_with("seed")) {
        add(*own, entry, lower_ascii(entry.path[1]));  // {"seed_42": {"val_bpb": ...}}
      }
    }
    if (entry.path.size() == 3) {
      const auto item = seed_of_item.find(entry.path[0] + '\0' + entry.path[1]);
      if (item != seed_of_item.end()) {
        add(item->second, entry, lower_ascii(entry.path[2]));
      } else if (has_text(top, "seed") && !is_foreign_score(top)) {
        if (const auto seed = seed_of_key(entry)) {
          add(*seed, entry, lower_ascii(entry.path[2]));
        }
      }
    }
  }
  std::vector<SeedEntry> list;
  for (const auto& [seed, entry] : seeds) list.push_back(entry);
  return list;
}

}  // namespace pg
