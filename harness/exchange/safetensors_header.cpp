// The JSON is read as events: nothing is built from what does not belong into a header, so neither
// nesting nor duplicate keys (which a document would silently merge) can do harm.
#include "harness/exchange/safetensors_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "harness/exchange/safetensors.h"
#include "src/base/bytes.h"
#include "src/text/text_escape.h"

namespace pg {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kPrefixBytes = 8;
constexpr size_t kMaxDimensions = 8;  // of what some tool may write; ours have two

class HeaderEvents final : public nlohmann::json_sax<Json> {
 public:
  explicit HeaderEvents(SafetensorsHeader& header) : header_(header) {}
  const std::string& problem() const { return problem_; }

  bool start_object(size_t) override {
    if (place_ == Place::kStart) return enter(Place::kRoot);
    if (place_ != Place::kRoot) return fail("nested values");
    if (name_ == "__metadata__") return enter(Place::kMetadata);
    tensor_ = &header_.entries[name_];
    fields_.clear();
    return enter(Place::kTensor);
  }
  bool end_object() override {
    if (place_ == Place::kTensor && (fields_.size() != 3 || tensor_->data_offsets.size() != 2)) {
      return fail("no dtype, shape or pair of data_offsets");
    }
    return enter(place_ == Place::kRoot ? Place::kEnd : Place::kRoot);
  }
  bool key(std::string& text) override {
    if (place_ == Place::kRoot) {
      name_ = text;
      field_.clear();
      const bool is_new = text == "__metadata__" ? !std::exchange(has_metadata_, true)
                                                 : !header_.entries.contains(text);
      return is_new || fail("duplicate name");
    }
    field_ = text;
    if (place_ == Place::kMetadata) {
      return header_.metadata.emplace(text, "").second || fail("duplicate key");
    }
    const bool is_known = text == "dtype" || text == "shape" || text == "data_offsets";
    return (is_known && fields_.insert(text).second) || fail("unknown or duplicate key");
  }
  bool string(std::string& text) override {
    if (place_ == Place::kMetadata) {
      header_.metadata[field_] = text;
      return true;
    }
    if (place_ != Place::kTensor || field_ != "dtype") return fail("a text where none belongs");
    tensor_->dtype = text;
    return true;
  }
  bool start_array(size_t) override {
    if (place_ != Place::kTensor || field_ == "dtype") return fail("a list where none belongs");
    return enter(Place::kNumbers);
  }
  bool end_array() override { return enter(Place::kTensor); }
  bool number_unsigned(uint64_t value) override {
    if (place_ != Place::kNumbers) return fail("a number where none belongs");
    std::vector<uint64_t>& numbers = field_ == "shape" ? tensor_->shape : tensor_->data_offsets;
    if (numbers.size() == kMaxDimensions) return fail("too many numbers");
    numbers.push_back(value);
    return true;
  }
  bool number_integer(int64_t) override { return fail("a negative number"); }
  bool number_float(double, const std::string&) override { return fail("a broken number"); }
  bool null() override { return fail("a null"); }
  bool boolean(bool) override { return fail("a truth value"); }
  bool binary(Json::binary_t&) override { return fail("binary data"); }
  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    problem_ = fmt::format("the header is no JSON object from byte {} on", position);
    return false;
  }

 private:
  enum class Place : uint8_t { kStart, kRoot, kMetadata, kTensor, kNumbers, kEnd };

  bool enter(Place place) {
    place_ = place;
    return true;
  }
  bool fail(const char* what) {
    problem_ = fmt::format("the header has {} at \"{}\"", what,
                           escape_terminal(field_.empty() ? name_ : name_ + "." + field_));
    return false;
  }

  SafetensorsHeader& header_;
  Place place_ = Place::kStart;
  std::string name_, field_;  // the keys that lead to the next value
  SafetensorsEntry* tensor_ = nullptr;
  std::set<std::string> fields_;  // of the tensor, so far
  bool has_metadata_ = false;
  std::string problem_;
};

// Bytes that the shape asks for; the largest number where that overflows, which no range can have.
uint64_t shape_bytes(const SafetensorsEntry& entry) {
  constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
  uint64_t total = safetensors_value_bytes(entry.dtype);
  if (std::ranges::find(entry.shape, uint64_t{0}) != entry.shape.end()) return 0;
  for (const uint64_t length : entry.shape) {
    if (total > kMax / length) return kMax;
    total *= length;
  }
  return total;
}

// Empty when every tensor's range fits its shape and the ranges cover the data exactly.
std::string check_ranges(const SafetensorsHeader& header) {
  struct Range {
    uint64_t begin, end;
    const std::string* name;
  };
  std::vector<Range> ranges;
  for (const auto& [name, entry] : header.entries) {
    const uint64_t begin = entry.data_offsets[0], end = entry.data_offsets[1];
    const std::string shown = escape_terminal(name);
    if (safetensors_value_bytes(entry.dtype) == 0) {
      return fmt::format("tensor \"{}\" has the type \"{}\"; F32, F16 and BF16 are read", shown,
                         escape_terminal(entry.dtype));
    }
    if (begin > end || end > header.data.size()) {
      return fmt::format("tensor \"{}\" lies at {} to {}, beyond the data's {} bytes", shown, begin,
                         end, header.data.size());
    }
    if (end - begin != shape_bytes(entry)) {
      return fmt::format("tensor \"{}\" has {} bytes, its shape and type ask for {}", shown,
                         end - begin, shape_bytes(entry));
    }
    ranges.push_back({begin, end, &name});
  }
  std::ranges::sort(ranges, [](const Range& a, const Range& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  uint64_t covered = 0;
  for (const Range& range : ranges) {
    if (range.begin != covered) {
      return fmt::format("tensor \"{}\" {}", escape_terminal(*range.name),
                         range.begin < covered ? "overlaps another" : "follows a gap");
    }
    covered = range.end;
  }
  return covered == header.data.size() ? "" : "bytes follow the last tensor";
}

}  // namespace

uint64_t safetensors_value_bytes(std::string_view dtype) {
  if (dtype == "F32") return 4;
  return dtype == "F16" || dtype == "BF16" ? 2 : 0;
}

Result<SafetensorsHeader> parse_safetensors_header(std::span<const uint8_t> file) {
  ByteReader reader(file);
  const uint64_t header_bytes = reader.u64();
  if (header_bytes > kMaxSafetensorsHeaderBytes) {
    return Failure{fmt::format("the header claims {} bytes, the limit is {}", header_bytes,
                               kMaxSafetensorsHeaderBytes)};
  }
  const auto text = reader.bytes(header_bytes);
  if (!reader.ok()) return Failure{"the file is cut short"};
  if (text.empty() || text.front() != '{') return Failure{"the header is no JSON object"};
  SafetensorsHeader header;
  HeaderEvents events(header);
  if (!Json::sax_parse(text.begin(), text.end(), &events)) return Failure{events.problem()};
  header.data = file.subspan(kPrefixBytes + header_bytes);
  if (const std::string problem = check_ranges(header); !problem.empty()) return Failure{problem};
  return header;
}

}  // namespace pg
