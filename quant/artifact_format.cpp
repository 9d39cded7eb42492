// What writer and parser of the artifact must agree on.
#include "quant/artifact_format.h"

#include <algorithm>
#include <map>
#include <string>
#include <type_traits>

#include "quant/storage_bits.h"
#include "src/base/check.h"
#include "src/base/threads.h"
#include "src/model/model.h"

namespace pg {
namespace {

// "blocks.3.attn.q" -> "blocks..attn.q"
std::string role_of(const std::string& name) {
  std::string role;
  for (const char c : name) {
    if (c < '0' || c > '9') role += c;
  }
  return role;
}

}  // namespace

PayloadLayout plan_payload(const ModelConfig& config, std::span<const uint8_t> bits) {
  PayloadLayout layout;
  layout.specs = list_params(config);
  PG_CHECK(bits.size() == layout.specs.size(), "one bit width per tensor");
  std::map<std::string, size_t> first_of_role;
  std::vector<size_t> group(layout.specs.size());
  for (size_t i = 0; i < layout.specs.size(); ++i) {
    const ParamSpec& spec = layout.specs[i];
    group[i] = first_of_role.emplace(role_of(spec.name), i).first->second;
    layout.order.push_back(i);
    if (bits[i] == kHalfBits) {
      layout.values += spec.elements();
    } else {
      layout.codes += spec.elements();
      layout.scales += spec.rows;
    }
  }
  std::stable_sort(layout.order.begin(), layout.order.end(),
                   [&](size_t a, size_t b) { return group[a] < group[b]; });
  return layout;
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

void transpose_codes(const int8_t* from, int64_t rows, int64_t cols, int8_t* to) {
  constexpr int64_t kTile = 64;  // 64 cache lines of each side stay in L1
  parallel_ranges(rows, kTile, [&](int64_t row_begin, int64_t row_end) {
    for (int64_t col_begin = 0; col_begin < cols; col_begin += kTile) {
      const int64_t col_end = std::min(col_begin + kTile, cols);
      for (int64_t c = col_begin; c < col_end; ++c) {
        for (int64_t r = row_begin; r < row_end; ++r) to[c * rows + r] = from[r * cols + c];
      }
    }
  });
}

}  // namespace pg
