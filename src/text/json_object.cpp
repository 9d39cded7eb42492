#include "src/text/json_object.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace pg {
namespace {

// Bytes that are no UTF-8 become U+FFFD: a record must stay readable whatever a path or a name
// held.
std::string dump(const nlohmann::ordered_json& json, int indent = -1) {
  return json.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

// The cause out of the library's own "[...] parse error at line 1, column 9: syntax error while
// parsing value - unexpected end of input; last read: '...'; expected ...".
std::string_view find_cause(std::string_view what) {
  if (const size_t dash = what.find(" - "); dash != std::string_view::npos) {
    what.remove_prefix(dash + 3);
  } else if (const size_t head = what.find("] "); head != std::string_view::npos) {
    what.remove_prefix(head + 2);
  }
  // What was read last may be the whole text.
  return what.substr(0, what.find("; last read"));
}

}  // namespace

JsonObject& JsonObject::add_text(std::string_view key, std::string_view json) {
  if (!members_.empty()) members_ += ',';
  members_ += dump(nlohmann::ordered_json(std::string(key)));
  members_ += ':';
  members_ += json;
  return *this;
}

JsonObject& JsonObject::add(std::string_view key, std::string_view value) {
  return add_text(key, dump(nlohmann::ordered_json(std::string(value))));
}
JsonObject& JsonObject::add(std::string_view key, const char* value) {
  return add(key, std::string_view(value));
}
JsonObject& JsonObject::add(std::string_view key, const std::string& value) {
  return add(key, std::string_view(value));
}
JsonObject& JsonObject::add(std::string_view key, int64_t value) {
  return add_text(key, dump(nlohmann::ordered_json(value)));
}
JsonObject& JsonObject::add(std::string_view key, double value) {
  return add_text(key, dump(nlohmann::ordered_json(value)));
}
JsonObject& JsonObject::add(std::string_view key, bool value) {
  return add_text(key, value ? "true" : "false");
}
JsonObject& JsonObject::add(std::string_view key, const JsonObject& value) {
  return add_text(key, value.line());
}
JsonObject& JsonObject::add(std::string_view key, const std::vector<int64_t>& values) {
  return add_text(key, dump(nlohmann::ordered_json(values)));
}
JsonObject& JsonObject::add(std::string_view key, const std::vector<std::string>& values) {
  return add_text(key, dump(nlohmann::ordered_json(values)));
}

std::string JsonObject::line() const { return '{' + members_ + '}'; }

std::string JsonObject::pretty() const {
  return dump(nlohmann::ordered_json::parse(line()), 2) + '\n';
}

int64_t JsonNumber::whole() const {
  return static_cast<int64_t>(std::clamp(value, -0x1p53, 0x1p53));
}

bool read_json_numbers(std::string_view line, std::vector<JsonNumber>& numbers) {
  const auto json = nlohmann::ordered_json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return false;
  for (const auto& [key, value] : json.items()) {
    if (value.is_number()) numbers.push_back({key, value.get<double>()});
  }
  return true;
}

std::string explain_json_error(std::string_view text) {
  try {
    const nlohmann::json parsed = nlohmann::json::parse(text);
    return {};
  } catch (const nlohmann::json::parse_error& error) {
    const std::string_view before = text.substr(0, error.byte > 0 ? error.byte - 1 : 0);
    const auto line = 1 + std::count(before.begin(), before.end(), '\n');
    const size_t column = before.size() - (before.rfind('\n') + 1) + 1;  // npos + 1 is 0
    return (line > 1 ? "line " + std::to_string(line) + ", " : std::string()) + "column " +
           std::to_string(column) + ": " + std::string(find_cause(error.what()));
  } catch (const nlohmann::json::exception& error) {  // a number beyond a double
    return std::string(find_cause(error.what()));
  }
}

}  // namespace pg
