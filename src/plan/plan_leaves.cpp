// What a plan starts from: ids, constants, weights, and columns of what it has.
#include <algorithm>

#include "src/base/check.h"
#include "src/plan/plan.h"

namespace pg {

Tensor Plan::input_ids(std::string name, int64_t rows, int64_t cols) {
  TensorInfo t;
  t.name = std::move(name);
  t.rows = rows;
  t.cols = cols;
  t.dtype = DType::kI32;
  t.place = Place::kOwned;
  owned_.emplace_back(weights_->device(), t.bytes());
  t.data = owned_.back().data();
  return add_tensor(std::move(t));
}

Tensor Plan::constant(std::string name, int64_t rows, int64_t cols, std::span<const float> values) {
  PG_CHECK(static_cast<int64_t>(values.size()) == rows * cols, "constant of another size");
  TensorInfo t;
  t.name = std::move(name);
  t.rows = rows;
  t.cols = cols;
  t.place = Place::kOwned;
  owned_.emplace_back(weights_->device(), t.bytes());
  t.data = owned_.back().data();
  weights_->device().upload(t.data, values.data(), values.size_bytes());
  return add_tensor(std::move(t));
}

Tensor Plan::weight(const ParamPlace& place) { return joined_weight({&place, 1}); }

Tensor Plan::joined_weight(std::span<const ParamPlace> places) {
  std::vector<int> indices;
  int64_t rows = 0;
  for (ParamPlace place : places) {
    // <train_gpt>
    if (place.layer >= 0) place.layer += layer_shift_;
    // </train_gpt>
    indices.push_back(weights_->find(place));
    rows += weights_->spec(indices.back()).rows;
  }
  for (size_t i = 0; i < tensors_.size(); ++i) {
    if (tensors_[i].weights == indices && tensors_[i].place == Place::kWeight) {
      return {static_cast<int>(i)};
    }
  }
  PG_CHECK(weights_->are_joined(indices), "parameters that are one matrix lie joined");
  const int first = indices.front();
  const ParamSpec& spec = weights_->spec(first);
  TensorInfo gradient;
  gradient.name = spec.name + ".grad";
  gradient.rows = rows;
  gradient.cols = spec.cols;
  gradient.place = Place::kWeightGradient;
  gradient.weights = indices;
  gradient.data = weights_->gradient(first);
  const In compute = weights_->compute(first);
  TensorInfo t;
  t.name = spec.name;
  t.rows = rows;
  t.cols = spec.cols;
  t.dtype = compute.dtype;
  t.place = Place::kWeight;
  t.weights = std::move(indices);
  t.data = const_cast<void*>(compute.data);  // plans only read weights
  t.needs_gradient = gradient.data != nullptr;
  t.gradient = t.needs_gradient ? add_tensor(std::move(gradient)).id : -1;
  return add_tensor(std::move(t));
}

In Plan::weight_in(Tensor w) const {
  const In packed = reads_packed_ ? weights_->packed(info(w).weights) : In{};
  return packed ? packed : in(w);
}

Tensor Plan::columns(Tensor x, int64_t first, int64_t count) {
  PG_CHECK(!is_view(x) && info(x).place == Place::kArena && first >= 0 && count > 0 &&
               first + count <= info(x).cols,
           "a view is of columns of a tensor of the arena");
  PG_CHECK(first == info(x).view_columns, "views cover their tensor from the left");
  info(x).view_columns += count;
  TensorInfo t;
  t.name = info(x).name + ".columns";
  t.rows = info(x).rows;
  t.cols = count;
  t.dtype = info(x).dtype;
  t.base = x.id;
  t.first_column = first;
  t.needs_gradient = info(x).needs_gradient;
  return add_tensor(std::move(t));
}

}  // namespace pg
