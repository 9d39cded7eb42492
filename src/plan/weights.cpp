#include "src/plan/weights.h"

#include <algorithm>

#include "src/base/error.h"

namespace pg {
Weights::Weights(Device& device, std::vector<ParamSpec> specs, bool with_gradients)
    : device_(&device), specs_(std::move(specs)), layout_(specs_), params_(specs_.size()) {
  masters_ = DeviceBuffer(device, static_cast<size_t>(layout_.elements()) * sizeof(float));
  if (with_gradients && layout_.gradient_elements() > 0) {
    gradients_ =
        DeviceBuffer(device, static_cast<size_t>(layout_.gradient_elements()) * sizeof(float));
  }
  for (int i = 0; i < count(); ++i) {
    Param& param = params_[static_cast<size_t>(i)];
    param.master = masters() + layout_.offset(i);
    if (with_gradients && spec(i).trainable) {
      param.gradient = gradients() + layout_.gradient_offset(i);
    }
    elements_ += spec(i).elements();
  }
  place_copies();
}

// Copies lie in the order of the masters; those of neighbours have the masters' gap between them, so
// that one op makes them and joined parameters stay joined.
void Weights::place_copies() {
  const bool is_narrower = device_->compute_dtype() != DType::kF32;
  std::vector<int64_t> offsets(specs_.size(), -1);
  int64_t end = 0, master_end = -1;  // of the last copy; -1: what lies before has none
  for (const int i : layout_.order()) {
    const bool is_scaled = spec(i).has_row_scale();
    if (!spec(i).has_compute_copy || !(is_narrower || is_scaled)) {
      master_end = -1;
      continue;
    }
    const int64_t master = layout_.offset(i), elements = spec(i).elements();
    const int64_t begin = master_end < 0 ? WeightLayout::align(end) : end + master - master_end;
    offsets[static_cast<size_t>(i)] = begin;
    if (!is_scaled) {
      Cast* const last = casts_.empty() ? nullptr : &casts_.back();
      if (last != nullptr && master - last->master_offset == begin - last->compute_offset &&
          last->master_offset + last->elements == master_end &&
          last->is_trained == spec(i).trainable) {
        last->elements = master + elements - last->master_offset;
      } else {
        casts_.push_back({master, begin, elements, spec(i).trainable});
      }
    }
    end = begin + elements;
    master_end = master + elements;
  }
  if (end == 0) return;
  compute_ =
      DeviceBuffer(*device_, static_cast<size_t>(end) * dtype_bytes(device_->compute_dtype()));
  for (int i = 0; i < count(); ++i) {
    const int64_t offset = offsets[static_cast<size_t>(i)];
    if (offset >= 0) params_[static_cast<size_t>(i)].compute = compute_at(offset);
  }
  std::vector<int> scaled_params, trained_params;
  for (const int i : layout_.order()) {
    if (!spec(i).has_row_scale()) continue;
    scaled_params.push_back(i);
    if (spec(i).trainable) trained_params.push_back(i);
  }
  for (const ParamBatch& batch : batch_scaled(scaled_params)) {
    scaled_.push_back(describe_scaled(batch));
    scaled_.back().compute_offset = offsets[static_cast<size_t>(batch.params.front())];
  }
  for (const ParamBatch& batch : batch_scaled(trained_params)) {
    trained_scaled_.push_back(describe_scaled(batch));
  }
}

std::vector<ParamBatch> Weights::batch_scaled(std::span<const int> params) const {
  std::vector<ParamBatch> batches = layout_.batches(specs_, params);
  // <parts>
  // A scale of a block serves the adapters of all its runs: a batch ends where its scales are no
  // longer equally far apart.
  for (size_t b = 0; b < batches.size(); ++b) {
    const std::vector<int> all = batches[b].params;
    const auto distance = [&](size_t i) {
      return layout_.offset(find(spec(all[i]).row_scale)) -
             layout_.offset(find(spec(all[i - 1]).row_scale));
    };
    size_t count = std::min<size_t>(all.size(), 2);
    while (count < all.size() && distance(count) == distance(1)) ++count;
    if (count == all.size()) continue;
    ParamBatch rest = batches[b];
    rest.params.erase(rest.params.begin(), rest.params.begin() + static_cast<int64_t>(count));
    rest.offset = layout_.offset(rest.params.front());
    rest.shape.count -= static_cast<int64_t>(count);
    batches[b].params.resize(count);
    batches[b].shape.count = static_cast<int64_t>(count);
    batches.insert(batches.begin() + static_cast<int64_t>(b) + 1, rest);
  }
  // </parts>
  return batches;
}

Weights::ScaledRows Weights::describe_scaled(const ParamBatch& batch) const {
  const auto scale_of = [&](size_t i) { return find(spec(batch.params[i]).row_scale); };
  ScaledRows scaled{batch, 0, layout_.offset(scale_of(0)), batch.shape.rows};
  for (size_t i = 1; i < batch.params.size(); ++i) {
    const int64_t stride = layout_.offset(scale_of(i)) - layout_.offset(scale_of(i - 1));
    PG_CHECK(i == 1 || stride == scaled.scale_stride, "scales lie as far apart as their matrices");
    scaled.scale_stride = stride;
  }
  for (size_t i = 0; i < batch.params.size(); ++i) {
    scaled.is_trained |= is_trained(batch.params[i]);
  }
  return scaled;
}

void* Weights::compute_at(int64_t offset) const {
  return compute_.as<uint8_t>() +
         static_cast<size_t>(offset) * dtype_bytes(device_->compute_dtype());
}

int Weights::search(const ParamPlace& place) const {
  for (int i = 0; i < count(); ++i) {
    if (spec(i).place == place) return i;
  }
  return -1;
}

int Weights::find(const ParamPlace& place) const {
  const int index = search(place);
  PG_CHECK(index >= 0, "no parameter stands there");
  return index;
}

int Weights::find(std::string_view name) const {
  for (int i = 0; i < count(); ++i) {
    if (spec(i).name == name) return i;
  }
  fail_check("a parameter of this name", std::string(name).c_str(), __FILE__, __LINE__);
}

bool Weights::are_joined(std::span<const int> indices) const {
  for (size_t i = 1; i < indices.size(); ++i) {
    const int before = indices[i - 1], next = indices[i];
    const int64_t elements = spec(before).elements();
    if (at(next).master != at(before).master + elements) return false;
    if ((at(next).gradient == nullptr) != (at(before).gradient == nullptr)) return false;
    if ((at(next).compute == nullptr) != (at(before).compute == nullptr)) return false;
  }
  return true;
}

In Weights::compute(int index) const {
  const Param& param = at(index);
  if (param.compute != nullptr) return {param.compute, device_->compute_dtype()};
  return {param.master, DType::kF32};
}

bool Weights::is_trained(int index) const {
  const ParamSpec& own = spec(index);
  return own.trainable || (own.has_row_scale() && spec(find(own.row_scale)).trainable);
}

In Weights::packed(std::span<const int> indices) {
  const DType type = compute(indices.front()).dtype;
  const auto is_same = [&](const Packed& packed) {
    return std::equal(packed.params.begin(), packed.params.end(), indices.begin(), indices.end());
  };
  auto found = std::find_if(packed_.begin(), packed_.end(), is_same);
  if (found == packed_.end()) {
    PG_CHECK(are_joined(indices), "parameters that are one matrix lie joined");
    const auto bytes = device_->ops().packed_bytes(type, spec(indices.front()).cols, rows(indices));
    if (bytes == 0) return {};
    packed_.push_back(
        {{indices.begin(), indices.end()}, DeviceBuffer(*device_, static_cast<size_t>(bytes))});
    found = packed_.end() - 1;
    pack(*found);
  }
  return {.data = found->data.data(), .dtype = type, .packed = true};
}

int64_t Weights::rows(std::span<const int> indices) const {
  int64_t rows = 0;
  for (const int index : indices) rows += spec(index).rows;
  return rows;
}

void Weights::pack(const Packed& packed) {
  const int first = packed.params.front();
  device_->ops().pack(packed.data.data(), compute(first), spec(first).cols, rows(packed.params));
}

void Weights::refresh(bool trained_alone) {
  Ops& ops = device_->ops();
  const DType type = device_->compute_dtype();
  for (const Cast& copy : casts_) {
    if (trained_alone && !copy.is_trained) continue;
    ops.cast({compute_at(copy.compute_offset), type}, {masters() + copy.master_offset, DType::kF32},
             copy.elements);
  }
  for (const ScaledRows& scaled : scaled_) {
    if (trained_alone && !scaled.is_trained) continue;
    ops.scale_rows(
        {compute_at(scaled.compute_offset), type}, {masters() + scaled.batch.offset, DType::kF32},
        {masters() + scaled.scale_offset, DType::kF32}, scaled.batch.shape, scaled.scale_stride);
  }
  for (const Packed& packed : packed_) {
    const bool has_trained = std::any_of(packed.params.begin(), packed.params.end(),
                                         [&](int index) { return is_trained(index); });
    if (!trained_alone || has_trained) pack(packed);
  }
}

void Weights::upload(const std::vector<HostTensor>& tensors) {
  const auto own =
      static_cast<size_t>(std::count_if(specs_.begin(), specs_.end(), [](const ParamSpec& spec) {
        return spec.group != ParamGroup::kAdapter;
      }));
  if (tensors.size() != own && tensors.size() != params_.size()) {
    throw Error("weights do not fit the model: " + std::to_string(tensors.size()) +
                " tensors given, the model has " + std::to_string(own));
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    const ParamSpec& have = tensors[i].spec;
    const ParamSpec& want = specs_[i];
    if (have.name != want.name || have.rows != want.rows || have.cols != want.cols ||
        static_cast<int64_t>(tensors[i].values.size()) != want.elements()) {
      throw Error("weights do not fit the model: tensor \"" + have.name + "\" where \"" +
                  want.name + "\" [" + std::to_string(want.rows) + ", " +
                  std::to_string(want.cols) + "] is expected");
    }
    device_->upload(params_[i].master, tensors[i].values.data(),
                    tensors[i].values.size() * sizeof(float));
  }
  refresh_compute();
}

}  // namespace pg
