// JSON text, written in the order in which members are added. A JSON object a line is how runs,
// tapes and records are read by machines. nlohmann-json stays behind this header, because it is
// slow to compile.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pg {

class JsonObject {
 public:
  JsonObject& add(std::string_view key, std::string_view value);
  JsonObject& add(std::string_view key, const char* value);
  JsonObject& add(std::string_view key, const std::string& value);
  JsonObject& add(std::string_view key, int64_t value);
  JsonObject& add(std::string_view key,
                  double value);  // shortest text that reads back; NaN and infinity become null
  JsonObject& add(std::string_view key, bool value);
  JsonObject& add(std::string_view key, const JsonObject& value);
  JsonObject& add(std::string_view key, const std::vector<int64_t>& values);
  JsonObject& add(std::string_view key, const std::vector<std::string>& values);

  std::string line() const;    // {"step":1,"loss":2.5}, without line break
  std::string pretty() const;  // indented by two, with a final line break

 private:
  JsonObject& add_text(std::string_view key, std::string_view json);
  std::string members_;  // "key":value,"key":value
};

// The members of one JSON object that are numbers, for reading our own lines back; false when
// `line` is no object.
struct JsonNumber {
  std::string key;
  double value = 0;

  // As a count or an index: its fraction falls away, and beyond 2^53 it stops there.
  int64_t whole() const;
};
bool read_json_numbers(std::string_view line, std::vector<JsonNumber>& numbers);

// Where and why a text is no JSON: "column 12: unexpected end of input"; with its line where it has
// several. Empty for text that is JSON.
std::string explain_json_error(std::string_view text);

}  // namespace pg
