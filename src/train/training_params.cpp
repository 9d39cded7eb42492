#include "src/train/training_params.h"

#include <fmt/format.h>

#include <cmath>

#include "src/model/model.h"

namespace pg {
namespace {

// K linear maps to the vocabulary, zero at first (parameter-golf, records of 2026-03-20 on).
void add_heads(std::vector<ParamSpec>& specs, const ModelConfig& model, const TrainConfig& train) {
  const bool is_muon = train.mtp_group == MtpGroup::kMuon;
  for (int64_t k = 0; k < train.mtp_heads; ++k) {
    specs.push_back({.name = fmt::format("mtp_heads.{}", k),
                     .rows = model.vocab_size,
                     .cols = model.dim,
                     .group = is_muon ? ParamGroup::kMatrix : ParamGroup::kScalar,
                     .has_compute_copy = true,
                     .place = {.role = ParamRole::kFutureHead, .layer = k},
                     .is_exported = false});
  }
}

// Modules of DeepSeek-V3: the map M of [state; token] as its two halves, [D, D] each, and a block like
// the model's last. Rows of M are orthonormal at first.
void add_modules(std::vector<ParamSpec>& specs, const ModelConfig& model,
                 const TrainConfig& train) {
  const std::vector<ParamSpec> own = list_params(model);
  const std::string last = fmt::format("blocks.{}.", model.layers - 1);
  for (int64_t k = 0; k < train.mtp_modules; ++k) {
    const std::string prefix = fmt::format("mtp_modules.{}.", k);
    for (const auto& [name, role] : {std::pair{"state", ParamRole::kFutureState},
                                     std::pair{"token", ParamRole::kFutureToken}}) {
      specs.push_back({.name = prefix + name,
                       .rows = model.dim,
                       .cols = model.dim,
                       .group = ParamGroup::kMatrix,
                       .init = ParamInit::kOrthogonal,
                       .init_value = static_cast<float>(std::sqrt(0.5)),
                       .has_compute_copy = true,
                       .place = {.role = role, .layer = k},
                       .is_exported = false});
    }
    for (ParamSpec spec : own) {
      if (!spec.name.starts_with(last)) continue;
      spec.name = prefix + spec.name.substr(last.size());
      spec.place.layer += k + 1;
      if (spec.has_row_scale()) spec.row_scale.layer += k + 1;
      spec.is_exported = false;
      specs.push_back(std::move(spec));
    }
  }
}

}  // namespace

std::vector<ParamSpec> list_training_params(const ModelConfig& model, const TrainConfig& train) {
  std::vector<ParamSpec> specs = list_params(model);
  add_heads(specs, model, train);
  add_modules(specs, model, train);
  return specs;
}

void keep_exported(std::vector<HostTensor>& tensors) {
  std::erase_if(tensors, [](const HostTensor& tensor) { return !tensor.spec.is_exported; });
}

}  // namespace pg
