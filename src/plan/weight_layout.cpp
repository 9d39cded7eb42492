#include "src/plan/weight_layout.h"

#include <algorithm>
#include <numeric>
#include <tuple>

namespace pg {
namespace {

enum class Section : uint8_t {
  kQkvBank,
  kOutBank,
  kUpBank,
  kDownBank,
  kOtherMatrices,
  kEmbeddings,
  // <parts>
  kHead,
  kMemory,
  // </parts>
  kSmallWithCopies,
  kSmall,
  kAdapterA,
  kAdapterB,
};

Section matrix_section(ParamRole role) {
  switch (role) {
    case ParamRole::kQ:
    case ParamRole::kK:
    case ParamRole::kV:
      return Section::kQkvBank;
    case ParamRole::kOut:
      return Section::kOutBank;
    case ParamRole::kUp:
      // <parts>
    case ParamRole::kGate:
      // </parts>
      return Section::kUpBank;
    case ParamRole::kDown:
      return Section::kDownBank;
    default:
      return Section::kOtherMatrices;
  }
}

Section section_of(const ParamSpec& spec) {
  switch (spec.group) {
    case ParamGroup::kMatrix:
      return matrix_section(spec.place.role);
    case ParamGroup::kEmbedding:
      return Section::kEmbeddings;
    // <parts>
    case ParamGroup::kHead:
      return Section::kHead;
    case ParamGroup::kMemory:
      return Section::kMemory;
    // </parts>
    case ParamGroup::kAdapter:
      return spec.place.factor == AdapterFactor::kA ? Section::kAdapterA : Section::kAdapterB;
    default:
      return spec.has_compute_copy ? Section::kSmallWithCopies : Section::kSmall;
  }
}

// Whether several matrices of a block are one there.
bool is_joined(Section section) {
  // <parts>
  if (section == Section::kUpBank) return true;
  // </parts>
  return section == Section::kQkvBank;
}

// q, k and v of a block stand together, and up and gate; else equal roles.
auto sort_key(const ParamSpec& spec) {
  const Section section = section_of(spec);
  const auto role = static_cast<int64_t>(spec.place.role);
  const bool by_layer = is_joined(section);
  return std::tuple(section, by_layer ? spec.place.layer : role,
                    by_layer ? role : spec.place.layer);
}

bool follows_without_gap(const ParamSpec& spec, const ParamSpec& before) {
  return is_joined(section_of(spec)) && section_of(spec) == section_of(before) &&
         spec.place.layer == before.place.layer && spec.trainable == before.trainable;
}

bool is_equal_matrix(const ParamSpec& a, const ParamSpec& b) {
  return a.place.role == b.place.role && a.place.factor == b.place.factor && a.rows == b.rows &&
         a.cols == b.cols;
}

}  // namespace

WeightLayout::WeightLayout(std::span<const ParamSpec> specs)
    : order_(specs.size()), offsets_(specs.size()), gradient_offsets_(specs.size(), -1) {
  std::iota(order_.begin(), order_.end(), 0);
  std::stable_sort(order_.begin(), order_.end(), [&](int a, int b) {
    return sort_key(specs[static_cast<size_t>(a)]) < sort_key(specs[static_cast<size_t>(b)]);
  });
  // <train_gpt>
  std::stable_sort(order_.begin(), order_.end(), [&](int a, int b) {
    return specs[static_cast<size_t>(a)].place.slot < specs[static_cast<size_t>(b)].place.slot;
  });
  // </train_gpt>
  const ParamSpec* before = nullptr;
  for (const int param : order_) {
    const auto i = static_cast<size_t>(param);
    const ParamSpec& spec = specs[i];
    if (before == nullptr || !follows_without_gap(spec, *before)) {
      elements_ = align(elements_);
      gradient_elements_ = align(gradient_elements_);
    }
    offsets_[i] = elements_;
    elements_ += spec.elements();
    if (spec.group == ParamGroup::kMatrix) matrix_elements_ = align(elements_);
    if (spec.trainable) {
      gradient_offsets_[i] = gradient_elements_;
      gradient_elements_ += spec.elements();
      add_to_ranges(spec, param, before == nullptr || section_of(*before) != section_of(spec));
    }
    before = &spec;
  }
  elements_ = align(elements_);
  gradient_elements_ = align(gradient_elements_);
  for (ParamRange& range : ranges_) range.elements = align(range.elements);
}

std::vector<ParamBatch> WeightLayout::batches(std::span<const ParamSpec> specs,
                                              std::span<const int> params) const {
  std::vector<ParamBatch> batches;
  for (const int param : params) {
    const ParamSpec& spec = specs[static_cast<size_t>(param)];
    ParamBatch* fitting = nullptr;
    for (ParamBatch& batch : batches) {
      if (!is_equal_matrix(specs[static_cast<size_t>(batch.params.front())], spec)) continue;
      const int64_t gap = offset(param) - offset(batch.params.back());
      if (batch.shape.count == 1 || gap == batch.shape.stride) fitting = &batch;
    }
    if (fitting == nullptr) {
      batches.push_back({{param}, offset(param), {1, spec.rows, spec.cols, spec.elements()}});
      continue;
    }
    fitting->shape.stride = offset(param) - offset(fitting->params.back());
    fitting->params.push_back(param);
    ++fitting->shape.count;
  }
  return batches;
}

}  // namespace pg
