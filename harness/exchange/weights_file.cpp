#include "harness/exchange/weights_file.h"

#include <fmt/format.h>

#include <string_view>
#include <type_traits>

#include "harness/exchange/safetensors.h"
#include "harness/recipe/recipe_value.h"
#include "src/base/error.h"
#include "src/files/write_file.h"
#include "src/model/model.h"
#include "src/text/file_kind.h"
#include "src/text/text_escape.h"

namespace pg {
namespace {

constexpr std::string_view kModelPrefix = "model.";
constexpr const char* kTokenizerKey = "tokenizer_sha256";

SafetensorsMetadata describe_weights(const ModelConfig& config, const Sha256& tokenizer_sha256) {
  SafetensorsMetadata metadata = {{kTokenizerKey, hex(tokenizer_sha256)}};
  visit_model_fields(config, [&](const FieldInfo& info, const auto& value) {
    std::string& text = metadata[std::string(kModelPrefix) + info.key];
    if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string>) {
      text = value;
    } else {
      text = format_value(value);
    }
  });
  return metadata;
}

Failure describe_missing(const std::string& key) {
  return Failure{
      fmt::format("metadata lack \"{}\"; write every model field of the recipe as "
                  "\"model.<key>\", and the tokenizer's SHA-256",
                  key)};
}

// A file of an older version lacks the fields that came later, which have their frozen values. Every
// other one must be given, and none that this program does not know: both would be another model.
constexpr size_t kFirstModelKeys = 22;

Result<ModelConfig> parse_config(const SafetensorsMetadata& metadata) {
  Recipe recipe;
  for (const FrozenValue& later : frozen_model_keys().subspan(kFirstModelKeys)) {
    set_recipe_value(recipe, later.key, PlainText{std::string(later.value)}, {});
  }
  try {
    for (const auto& [key, value] : metadata) {
      if (!key.starts_with(kModelPrefix)) continue;
      set_recipe_value(recipe, key, PlainText{value}, ValuePlace{"metadata: "});
    }
  } catch (const Error& error) {
    return Failure{error.what()};
  }
  for (const FrozenValue& first : frozen_model_keys().first(kFirstModelKeys)) {
    const std::string key(first.key);
    if (!metadata.contains(key)) return describe_missing(key);
  }
  const std::string problem = check_model_config(recipe.model);
  if (!problem.empty()) return Failure{problem};
  return recipe.model;
}

Result<Sha256> parse_sha256(const std::string& text) {
  Sha256 sha = {};
  for (size_t i = 0; i < sha.size() && text.size() == 2 * sha.size(); ++i) {
    const auto digit = [&](size_t at) {
      return std::string_view("0123456789abcdef").find(text[at]);
    };
    sha[i] = static_cast<uint8_t>(digit(2 * i) << 4 | (digit(2 * i + 1) & 15));
  }
  if (hex(sha) == text) return sha;
  return Failure{fmt::format("metadata: \"{}\" is no SHA-256 in hex: \"{}\"", kTokenizerKey,
                             escape_terminal(text))};
}

}  // namespace

Bytes encode_weights_file(const WeightsFile& weights) {
  return write_safetensors(weights.tensors,
                           describe_weights(weights.config, weights.tokenizer_sha256));
}

int64_t write_weights_file(const std::filesystem::path& path, const WeightsFile& weights) {
  const Bytes file = encode_weights_file(weights);
  write_file_atomic(path, file);
  return static_cast<int64_t>(file.size());
}

Result<WeightsFile> parse_weights_file(std::span<const uint8_t> file) {
  const Result<SafetensorsMetadata> metadata = parse_safetensors_metadata(file);
  if (!metadata.ok()) return Failure{metadata.error()};
  const Result<ModelConfig> config = parse_config(metadata.value());
  if (!config.ok()) return Failure{config.error()};
  const auto sha_text = metadata.value().find(kTokenizerKey);
  if (sha_text == metadata.value().end()) return describe_missing(kTokenizerKey);
  const Result<Sha256> sha = parse_sha256(sha_text->second);
  if (!sha.ok()) return Failure{sha.error()};
  Result<std::vector<HostTensor>> tensors = parse_safetensors(file, list_params(config.value()));
  if (!tensors.ok()) return Failure{tensors.error()};
  return WeightsFile{config.value(), sha.value(), std::move(tensors.value())};
}

Result<WeightsFile> read_weights_file(const std::filesystem::path& path) {
  const Bytes bytes = read_file(path);
  const std::string_view foreign = describe_foreign_file(bytes);
  if (!foreign.empty()) return Failure{fmt::format("it is {}", foreign)};
  return parse_weights_file(bytes);
}

}  // namespace pg
