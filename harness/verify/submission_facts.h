// submission.json as a flat list: every value with the keys that lead to it, its text and its line.
// The file is a stranger's: it may be no JSON, of any depth, or of any size.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pg {

enum class JsonKind { kNull, kBool, kNumber, kString, kObject, kArray };

struct JsonEntry {
  std::vector<std::string> path;  // {"seed_results", "42", "val_bpb"}; of a list the index
  JsonKind kind = JsonKind::kNull;
  double number = 0;
  int decimals = 0;  // digits behind the point as written, counted without an exponent
  std::string text;  // of a string its value; of a number as written
  int64_t line = 0;
};

// One seed's values as the file states them, by whatever layout.
struct SeedEntry {
  int64_t seed = 0;
  const JsonEntry* bits_per_byte = nullptr;
  const JsonEntry* artifact_bytes = nullptr;
};

// A value that stands for the record's score or size: the entry and the number in it.
struct StatedNumber {
  const JsonEntry* entry = nullptr;
  double value = 0;
  int decimals = 0;
};

class SubmissionFacts {
 public:
  static constexpr size_t kMostBytes = size_t{4} << 20;
  static constexpr size_t kMostEntries = 200000, kMostDepth = 64;

  SubmissionFacts() = default;
  explicit SubmissionFacts(std::string_view text);

  bool is_there = false;  // the file is
  bool has_byte_order_mark = false;
  std::string error;  // empty for a JSON object
  int64_t error_line = 0;
  std::vector<JsonEntry> entries;

  bool is_object() const { return is_there && error.empty(); }
  // A value at the top; null where there is none.
  const JsonEntry* find(std::string_view key) const;
  // The text of a string at the top; empty for anything else.
  std::string_view text_of(std::string_view key) const;
  // val_bpb, also as the text of a number, or where there is no such key another that gives the score.
  std::optional<StatedNumber> stated_score() const;
  // The key that stands in for val_bpb: "val_bpb_mean"; null where none does.
  const JsonEntry* other_score() const;
  // The record's size under the key that the community gives it, whatever it holds.
  const JsonEntry* stated_size() const;
  std::vector<SeedEntry> seed_entries() const;
};

}  // namespace pg
