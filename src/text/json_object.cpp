#include "src/text/json_object.h"

#include <nlohmann/json.hpp>

namespace pg {
namespace {

// Bytes that are no UTF-8 become U+FFFD: a record must stay readable whatever a path or a name
// held.
std::string dump(const nlohmann::ordered_json& json, int indent = -1) {
  return json.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
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

bool read_json_numbers(std::string_view line, std::vector<JsonNumber>& numbers) {
  const auto json = nlohmann::ordered_json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return false;
  for (const auto& [key, value] : json.items()) {
    if (value.is_number()) numbers.push_back({key, value.get<double>()});
  }
  return true;
}

}  // namespace pg
