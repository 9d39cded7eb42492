// What writer and parser of the artifact must agree on.
#include "quant/format/artifact_format.h"

#include <algorithm>
#include <map>
#include <string>
#include <type_traits>

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

uint32_t model_field_count() {
  uint32_t count = 0;
  const ModelConfig config;
  visit_model_fields(config, [&](const FieldInfo&, const auto&) { ++count; });
  return count;
}

uint32_t model_field_fingerprint() {
  uint64_t hash = kFnvOffset;
  const ModelConfig config;
  visit_model_fields(config, [&](const FieldInfo& info, const auto& value) {
    using Value = std::decay_t<decltype(value)>;
    const char type = std::is_same_v<Value, bool> ? 'b' : std::is_same_v<Value, double> ? 'f' : 'i';
    hash = fnv1a(as_bytes(std::string(info.key) + ':' + type + ' '), hash);
  });
  return static_cast<uint32_t>(hash ^ (hash >> 32));
}

}  // namespace pg
