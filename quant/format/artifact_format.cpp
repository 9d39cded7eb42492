// What writer and parser of the artifact must agree on.
#include "quant/format/artifact_format.h"

#include <algorithm>
#include <map>
#include <string>

#include "src/base/stored_keys.h"
#include "src/model/model.h"

namespace pg {
namespace {

// Whose statistics the coder keeps together: all of a role, and both vectors of the residual mix.
ParamRole statistics_role(ParamRole role) {
  return role == ParamRole::kMixX0 ? ParamRole::kMixX : role;
}

}  // namespace

std::vector<PayloadEntry> order_payload(const std::vector<ParamSpec>& specs) {
  std::map<ParamRole, int> roles;  // numbered by first appearance
  std::vector<PayloadEntry> order;
  for (size_t i = 0; i < specs.size(); ++i) {
    const int next = static_cast<int>(roles.size());
    order.push_back({i, roles.emplace(statistics_role(specs[i].place.role), next).first->second});
  }
  std::stable_sort(order.begin(), order.end(),
                   [](const PayloadEntry& a, const PayloadEntry& b) { return a.role < b.role; });
  for (PayloadEntry& entry : order) entry.role = std::min(entry.role, 15);
  return order;
}

std::string write_model_keys(const ModelConfig& config) {
  KeyWriter writer(frozen_model_keys());
  visit_model_fields(
      config, [&](const FieldInfo& info, const auto& value) { writer("model", info, value); });
  return writer.text();
}

std::string write_coder_key(Coder coder) {
  return coder == Coder::kOwn ? "" : "quant.coder=" + format_stored(coder) + '\n';
}

std::string read_model_keys(std::string_view& keys, ModelConfig& config) {
  size_t end = 0;
  while (keys.substr(end).starts_with("model.")) {
    end = std::min(keys.find('\n', end), keys.size() - 1) + 1;
  }
  const std::string_view own = keys.substr(0, end);
  keys.remove_prefix(end);
  KeyReader reader(own, frozen_model_keys());
  visit_model_fields(config,
                     [&](const FieldInfo& info, auto& value) { reader("model", info, value); });
  std::string error = reader.finish();
  if (!error.empty()) return error;
  if (write_model_keys(config) != own) return "its keys are not written as this format writes them";
  return check_model_config(config);
}

std::string read_coder_key(std::string_view& keys, Coder& coder) {
  for (const Coder named : {Coder::kZstd, Coder::kLzma}) {
    const std::string key = write_coder_key(named);
    if (!keys.starts_with(key)) continue;
    coder = named;
    keys.remove_prefix(key.size());
    break;
  }
  return keys.starts_with("quant.")
             ? "unknown coder: a later program wrote it, or it stands there twice"
             : "";
}

}  // namespace pg
