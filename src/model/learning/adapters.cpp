#include "src/model/learning/adapters.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
// <parts>
#include <span>
#include <utility>
// </parts>

#include "src/base/error.h"
#include "src/model/model.h"

namespace pg {
namespace {

struct Target {
  std::string_view name;
  ParamRole role;
};
constexpr auto kTargets = std::to_array<Target>({{"q", ParamRole::kQ},
                                                 {"k", ParamRole::kK},
                                                 {"v", ParamRole::kV},
                                                 {"out", ParamRole::kOut},
                                                 {"up", ParamRole::kUp},
                                                 {"down", ParamRole::kDown},
                                                 // <parts>
                                                 {"attn", ParamRole::kBesideAttention},
                                                 {"mlp", ParamRole::kBesideMlp},
                                                 // </parts>
                                                 {"head", ParamRole::kTokenEmbedding}});

ParamRole find_target(std::string_view name) {
  for (const Target& target : kTargets) {
    if (target.name == name) return target.role;
  }
  std::string known = "q,k,v,out,up,down,head";
  // <parts>
  known += ",attn,mlp";
  // </parts>
  throw Error(fmt::format("unknown adapter target: \"{}\"; give some of {}", name, known));
}

// <parts>
// The product at the end of a branch as if it were dim to dim: what an adapter beside the branch
// adds to, its scale included.
ParamSpec stand_for_branch(ParamSpec last, ParamRole role, int64_t dim) {
  last.name.resize(last.name.rfind('.'));  // "blocks.3.attn"
  last.place.role = role;
  last.cols = dim;
  return last;
}
// </parts>

void add_pair(const ParamSpec& adapted, const std::string& name, int64_t rank,
              std::vector<ParamSpec>& specs) {
  ParamPlace place = adapted.place;
  place.factor = AdapterFactor::kA;
  specs.push_back(
      {.name = name + ".lora_a",
       .rows = rank,
       .cols = adapted.cols,
       .group = ParamGroup::kAdapter,
       .init = ParamInit::kUniform,
       .init_value = static_cast<float>(1.0 / std::sqrt(static_cast<double>(adapted.cols))),
       .has_compute_copy = true,
       .place = place});
  place.factor = AdapterFactor::kB;
  specs.push_back({.name = name + ".lora_b",
                   .rows = adapted.rows,
                   .cols = rank,
                   .group = ParamGroup::kAdapter,
                   .has_compute_copy = true,
                   .place = place,
                   .row_scale = adapted.row_scale});
}

}  // namespace

std::vector<ParamRole> parse_adapter_targets(std::string_view text) {
  std::vector<ParamRole> roles;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    const std::string_view name = text.substr(0, comma);
    const ParamRole role = find_target(name);
    if (std::find(roles.begin(), roles.end(), role) != roles.end()) {
      throw Error(fmt::format("adapter target given twice: \"{}\"; give it once", name));
    }
    roles.push_back(role);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return roles;
}

std::vector<ParamSpec> list_adapter_params(const ModelConfig& c, const AdapterConfig& adapters) {
  const std::vector<ParamSpec> params = list_params(c);
  std::vector<ParamSpec> specs;
  const auto add_targets = [&](int64_t layer) {
    for (ParamRole role : adapters.targets) {
      // <parts>
      if (role == ParamRole::kTokenEmbedding && !c.tied_head) role = ParamRole::kHead;
      // </parts>
      for (const ParamSpec& param : params) {
        // <parts>
        for (const auto& [beside, last] : {std::pair(ParamRole::kBesideAttention, ParamRole::kOut),
                                           std::pair(ParamRole::kBesideMlp, ParamRole::kDown)}) {
          if (role != beside || param.place != ParamPlace{last, layer}) continue;
          const ParamSpec branch = stand_for_branch(param, role, c.dim);
          add_pair(branch, branch.name, adapters.rank, specs);
        }
        if (role == ParamRole::kUp && param.place == ParamPlace{ParamRole::kGate, layer}) {
          add_pair(param, param.name, adapters.rank, specs);
        }
        // </parts>
        if (param.place != ParamPlace{role, layer}) continue;
        const bool is_head = layer < 0;  // no other target is in no block
        add_pair(param, is_head ? "head" : param.name, adapters.rank, specs);
      }
    }
  };
  // <parts>
  const int64_t runs = adapters.per_run ? c.layers + loop_runs(c) : 0;
  for (int64_t run = 0; run < runs; ++run) {
    const size_t first = specs.size();
    add_targets(block_of_run(c, run));
    for (ParamSpec& spec : std::span(specs).subspan(first)) {
      spec.name.insert(spec.name.rfind('.'), fmt::format(".run{}", run));
      spec.place.layer = adapter_layer_of_run(c, run);
    }
  }
  if (runs == 0)
    // </parts>
    for (int64_t l = 0; l < c.layers; ++l) add_targets(l);
  add_targets(-1);
  // <train_gpt>
  const size_t of_one = specs.size();
  for (int64_t slot = 1; slot < adapters.slots; ++slot) {
    for (size_t i = 0; i < of_one; ++i) {
      specs.push_back(specs[i]);
      specs.back().name += fmt::format(".slot{}", slot);
      specs.back().place.slot = slot;
    }
  }
  // </train_gpt>
  return specs;
}

void freeze_blocks(std::vector<ParamSpec>& params, int64_t count) {
  for (ParamSpec& param : params) {
    const ParamPlace& place = param.place;  // skips lead into a block, they are not in it
    // <parts>
    if (place.role == ParamRole::kSkipGate) continue;
    if (place.role >= ParamRole::kMuddHidden && place.role <= ParamRole::kMuddValueShare) continue;
    // </parts>
    if (place.layer >= 0 && place.layer < count && place.role != ParamRole::kSkip) {
      param.trainable = false;
    }
  }
}

}  // namespace pg
