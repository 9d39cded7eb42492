#include "src/model/adapters.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "src/base/error.h"

namespace pg {
namespace {

constexpr std::array<std::string_view, 7> kTargets = {"q", "k", "v", "out", "up", "down", "head"};

struct Shape {
  std::string_view part;
  int64_t out, in;
};

Shape block_shape(const ModelConfig& c, std::string_view target) {
  const int64_t kv_dim = c.kv_heads * c.head_dim();
  if (target == "q") return {"attn.q", c.dim, c.dim};
  if (target == "k") return {"attn.k", kv_dim, c.dim};
  if (target == "v") return {"attn.v", kv_dim, c.dim};
  if (target == "out") return {"attn.out", c.dim, c.dim};
  if (target == "up") return {"mlp.up", c.mlp_hidden, c.dim};
  return {"mlp.down", c.dim, c.mlp_hidden};
}

void add_pair(const std::string& name, int64_t rank, int64_t out, int64_t in,
              std::vector<ParamSpec>& specs) {
  specs.push_back({.name = name + ".lora_a",
                   .rows = rank,
                   .cols = in,
                   .group = ParamGroup::kAdapter,
                   .init = ParamInit::kUniform,
                   .init_value = static_cast<float>(1.0 / std::sqrt(static_cast<double>(in))),
                   .has_compute_copy = true});
  specs.push_back({.name = name + ".lora_b",
                   .rows = out,
                   .cols = rank,
                   .group = ParamGroup::kAdapter,
                   .has_compute_copy = true});
}

void check_targets(const std::vector<std::string>& targets) {
  for (size_t i = 0; i < targets.size(); ++i) {
    if (std::find(kTargets.begin(), kTargets.end(), targets[i]) == kTargets.end()) {
      throw Error(fmt::format("unknown adapter target: \"{}\"; give some of {}", targets[i],
                              fmt::join(kTargets, ",")));
    }
    if (std::find(targets.begin(), targets.begin() + static_cast<std::ptrdiff_t>(i), targets[i]) !=
        targets.begin() + static_cast<std::ptrdiff_t>(i)) {
      throw Error(fmt::format("adapter target given twice: \"{}\"; give it once", targets[i]));
    }
  }
}

}  // namespace

std::span<const std::string_view> adapter_target_names() { return kTargets; }

std::vector<ParamSpec> list_adapter_params(const ModelConfig& c, const AdapterConfig& adapters) {
  check_targets(adapters.targets);
  std::vector<ParamSpec> specs;
  for (int64_t l = 0; l < c.layers; ++l) {
    for (const std::string& target : adapters.targets) {
      if (target == "head") continue;
      const Shape shape = block_shape(c, target);
      add_pair(fmt::format("blocks.{}.{}", l, shape.part), adapters.rank, shape.out, shape.in,
               specs);
    }
  }
  if (std::find(adapters.targets.begin(), adapters.targets.end(), "head") !=
      adapters.targets.end()) {
    add_pair("head", adapters.rank, c.vocab_size, c.dim, specs);
  }
  return specs;
}

void freeze_blocks(std::vector<ParamSpec>& params, int64_t count) {
  for (int64_t l = 0; l < count; ++l) {
    const std::string prefix = fmt::format("blocks.{}.", l);
    for (ParamSpec& param : params) {
      if (param.name.starts_with(prefix)) param.trainable = false;
    }
  }
}

}  // namespace pg
