#include "src/plan/weights.h"

#include <algorithm>
#include <cmath>

#include "src/base/error.h"
#include "src/base/hash.h"
#include "src/base/rng.h"
#include "src/base/threads.h"

namespace pg {
namespace {

// Parameters start at multiples of this many elements, so that every one is 64-byte aligned in any
// type.
constexpr int64_t kAlignElements = 32;

int64_t align(int64_t elements) {
  return (elements + kAlignElements - 1) / kAlignElements * kAlignElements;
}

// n orthonormal vectors of length m >= n, row by row: modified Gram-Schmidt on Gaussian rows. Its R
// has a positive diagonal, so the result is distributed as a random orthogonal matrix (Mezzadri
// 2007).
std::vector<double> make_orthonormal_rows(int64_t n, int64_t m, const CounterRng& rng) {
  std::vector<double> q(static_cast<size_t>(n * m));
  for (size_t i = 0; i < q.size(); ++i) q[i] = rng.normal(i);
  for (int64_t i = 0; i < n; ++i) {
    double* row = q.data() + i * m;
    for (int64_t j = 0; j < i; ++j) {
      const double* other = q.data() + j * m;
      double dot = 0;
#pragma omp simd reduction(+ : dot)
      for (int64_t k = 0; k < m; ++k) dot += row[k] * other[k];
#pragma omp simd
      for (int64_t k = 0; k < m; ++k) row[k] -= dot * other[k];
    }
    double squares = 0;
#pragma omp simd reduction(+ : squares)
    for (int64_t k = 0; k < m; ++k) squares += row[k] * row[k];
    const double inverse = 1.0 / std::sqrt(squares);
    for (int64_t k = 0; k < m; ++k) row[k] *= inverse;
  }
  return q;
}

void initialise_param(const ParamSpec& spec, uint64_t seed, std::vector<float>& values) {
  values.resize(static_cast<size_t>(spec.elements()));
  // Keyed by name: adding a parameter leaves the others' values as they were.
  const CounterRng rng(
      seed ^ fnv1a({reinterpret_cast<const uint8_t*>(spec.name.data()), spec.name.size()}),
      kStreamWeightInit);
  switch (spec.init) {
    case ParamInit::kConstant:
      std::fill(values.begin(), values.end(), spec.init_value);
      break;
    case ParamInit::kNormal:
      for (size_t i = 0; i < values.size(); ++i) {
        values[i] = static_cast<float>(rng.normal(i) * static_cast<double>(spec.init_value));
      }
      break;
    case ParamInit::kUniform:
      for (size_t i = 0; i < values.size(); ++i) {
        values[i] =
            static_cast<float>((2 * rng.uniform(i) - 1) * static_cast<double>(spec.init_value));
      }
      break;
    case ParamInit::kOrthogonal: {
      const bool tall = spec.rows > spec.cols;
      const int64_t n = std::min(spec.rows, spec.cols), m = std::max(spec.rows, spec.cols);
      const std::vector<double> q = make_orthonormal_rows(n, m, rng);
      for (int64_t r = 0; r < spec.rows; ++r) {
        for (int64_t c = 0; c < spec.cols; ++c) {
          const double v = q[static_cast<size_t>(tall ? c * m + r : r * m + c)];
          values[static_cast<size_t>(r * spec.cols + c)] =
              static_cast<float>(v * static_cast<double>(spec.init_value));
        }
      }
      break;
    }
  }
}

}  // namespace

int64_t count_flat_elements(const std::vector<ParamSpec>& specs) {
  int64_t elements = 0;
  for (const ParamSpec& spec : specs) elements += align(spec.elements());
  return elements;
}

Weights::Weights(Device& device, std::vector<ParamSpec> specs, bool with_gradients)
    : device_(&device), flat_elements_(count_flat_elements(specs)) {
  // Where the compute type holds every f32, the masters themselves are read.
  const DType compute_type = device.compute_dtype();
  const bool needs_copies = dtype_bytes(compute_type) < sizeof(float);
  int64_t compute_elements = 0;
  for (const ParamSpec& spec : specs) {
    elements_ += spec.elements();
    if (with_gradients && spec.trainable) gradient_elements_ += align(spec.elements());
    if (spec.has_compute_copy) compute_elements += align(spec.elements());
  }
  masters_ = DeviceBuffer(device, static_cast<size_t>(flat_elements_) * sizeof(float));
  if (with_gradients) {
    gradients_ = DeviceBuffer(device, static_cast<size_t>(gradient_elements_) * sizeof(float));
  }
  if (needs_copies) {
    compute_ =
        DeviceBuffer(device, static_cast<size_t>(compute_elements) * dtype_bytes(compute_type));
  }
  int64_t flat = 0, flat_gradient = 0;
  size_t compute_at = 0;
  for (ParamSpec& spec : specs) {
    Param param;
    param.master = masters() + flat;
    flat += align(spec.elements());
    if (with_gradients && spec.trainable) {
      param.gradient = gradients() + flat_gradient;
      flat_gradient += align(spec.elements());
    }
    if (spec.has_compute_copy && needs_copies) {
      param.compute = compute_.as<uint8_t>() + compute_at;
      compute_at += static_cast<size_t>(align(spec.elements())) * dtype_bytes(compute_type);
    }
    param.spec = std::move(spec);
    params_.push_back(std::move(param));
  }
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

In Weights::compute(int index) const {
  const Param& param = at(index);
  if (param.compute != nullptr) return {param.compute, device_->compute_dtype()};
  return {param.master, DType::kF32};
}

void Weights::initialise(uint64_t seed) {
  parallel_chunks(count(), [&](int64_t i) { initialise(static_cast<int>(i), seed); });
  refresh_compute();
}

void Weights::initialise(int index, uint64_t seed) {
  std::vector<float> values;
  initialise_param(spec(index), seed, values);
  device_->upload(master(index), values.data(), values.size() * sizeof(float));
}

void Weights::refresh_compute() {
  for (const Param& param : params_) {
    if (param.compute == nullptr) continue;
    device_->ops().cast({param.compute, device_->compute_dtype()}, {param.master, DType::kF32},
                        param.spec.elements());
  }
}

std::vector<HostTensor> Weights::download() const {
  device_->synchronize();
  std::vector<HostTensor> tensors;
  for (const Param& param : params_) {
    HostTensor& tensor = tensors.emplace_back();
    tensor.spec = param.spec;
    tensor.values.resize(static_cast<size_t>(param.spec.elements()));
    device_->download(tensor.values.data(), param.master, tensor.values.size() * sizeof(float));
  }
  return tensors;
}

void Weights::upload(const std::vector<HostTensor>& tensors) {
  const auto own =
      static_cast<size_t>(std::count_if(params_.begin(), params_.end(), [](const Param& param) {
        return param.spec.group != ParamGroup::kAdapter;
      }));
  if (tensors.size() != own && tensors.size() != params_.size()) {
    throw Error("weights do not fit the model: " + std::to_string(tensors.size()) +
                " tensors given, the model has " + std::to_string(own));
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    const ParamSpec& have = tensors[i].spec;
    const ParamSpec& want = params_[i].spec;
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
