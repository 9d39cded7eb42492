#include "tests/simt/fake_cudnn/fake_cudnn_graph.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "kernels/bf16.h"
#include "src/base/check.h"

namespace pg::fake_cudnn {
namespace {

size_t index(int64_t i) { return static_cast<size_t>(i); }

using Dense = std::vector<float>;  // elements of a tensor, the last dimension side by side

// Calls body(n, place) for the n-th element, which lies `place` elements behind the first.
template <class Body>
void for_each_element(const GraphTensor& t, const Body& body) {
  std::vector<int64_t> at(t.dims.size(), 0);
  const int64_t count = t.count();
  for (int64_t n = 0; n < count; ++n) {
    int64_t place = 0;
    for (size_t d = 0; d < at.size(); ++d) place += at[d] * t.strides[d];
    body(n, place);
    for (size_t d = at.size(); d-- > 0;) {
      if (++at[d] < t.dims[d]) break;
      at[d] = 0;
    }
  }
}

// The element of `from` that stands for element n of `to`: a dimension that is shorter serves as many
// of the longer one in a row, be it 1 for all or a key head for its group.
class Broadcast {
 public:
  Broadcast(const GraphTensor& to, const GraphTensor& from) : to_(to), from_(from) {}
  int64_t operator()(int64_t n) const {
    int64_t result = 0, step = 1;
    for (size_t d = to_.dims.size(); d-- > 0;) {
      const int64_t at = n % to_.dims[d];
      n /= to_.dims[d];
      result += at * from_.dims[d] / to_.dims[d] * step;
      step *= from_.dims[d];
    }
    return result;
  }

 private:
  const GraphTensor& to_;
  const GraphTensor& from_;
};

float compute_pointwise(cudnnPointwiseMode_t mode, float x, float b, float t) {
  switch (mode) {
    case CUDNN_POINTWISE_ADD:
      return x + b;
    case CUDNN_POINTWISE_SUB:
      return x - b;
    case CUDNN_POINTWISE_MUL:
      return x * b;
    case CUDNN_POINTWISE_DIV:
      return x / b;
    case CUDNN_POINTWISE_EXP:
      return std::exp(x);
    case CUDNN_POINTWISE_LOG:
      return std::log(x);
    case CUDNN_POINTWISE_IDENTITY:
      return x;
    case CUDNN_POINTWISE_CMP_GE:
      return x >= b ? 1.0f : 0.0f;
    case CUDNN_POINTWISE_BINARY_SELECT:
      return t != 0 ? x : b;
    default:
      PG_CHECK(false, "an operation that was not refused");
  }
}

bool is_known(cudnnPointwiseMode_t mode) {
  switch (mode) {
    case CUDNN_POINTWISE_ADD:
    case CUDNN_POINTWISE_SUB:
    case CUDNN_POINTWISE_MUL:
    case CUDNN_POINTWISE_DIV:
    case CUDNN_POINTWISE_EXP:
    case CUDNN_POINTWISE_LOG:
    case CUDNN_POINTWISE_IDENTITY:
    case CUDNN_POINTWISE_CMP_GE:
    case CUDNN_POINTWISE_BINARY_SELECT:
    case CUDNN_POINTWISE_GEN_INDEX:
      return true;
    default:
      return false;
  }
}

// One run of a graph.
class Run {
 public:
  Run(const std::map<int64_t, void*>& memory, float factor) : memory_(memory), factor_(factor) {}

  bool is_there(const GraphTensor& t) const {
    return !t.is_virtual || values_.contains(t.id) || memory_.contains(t.id);
  }

  void compute(const GraphOperation& operation) {
    const GraphTensor& to = operation.output;
    switch (operation.kind) {
      case GraphOperationKind::kMatmul:
        return store(to, multiply(operation.inputs[0], operation.inputs[1], to));
      case GraphOperationKind::kPointwise:
        return store(to, pointwise(operation));
      case GraphOperationKind::kReduction:
        return store(to, reduce(operation));
      case GraphOperationKind::kReshape:
        return store(to, reshape(operation.inputs[0], to));
    }
  }

 private:
  Dense load(const GraphTensor& t) const {
    if (t.is_virtual) return values_.at(t.id);
    Dense values(index(t.count()));
    const void* const memory = memory_.at(t.id);
    for_each_element(t, [&](int64_t n, int64_t place) {
      if (t.type == CUDNN_DATA_BFLOAT16) {
        values[index(n)] = static_cast<float>(static_cast<const bf16*>(memory)[place]);
      } else if (t.type == CUDNN_DATA_INT32) {
        values[index(n)] = static_cast<float>(static_cast<const int32_t*>(memory)[place]);
      } else {
        values[index(n)] = static_cast<const float*>(memory)[place];
      }
    });
    return values;
  }
  void store(const GraphTensor& t, Dense values) {
    if (t.is_virtual) {
      if (t.type == CUDNN_DATA_BFLOAT16) {
        for (float& value : values) value = static_cast<float>(bf16(value));
      }
      values_[t.id] = std::move(values);
      return;
    }
    void* const memory = memory_.at(t.id);
    for_each_element(t, [&](int64_t n, int64_t place) {
      const float value = factor_ * values[index(n)];
      if (t.type == CUDNN_DATA_BFLOAT16) {
        static_cast<bf16*>(memory)[place] = bf16(value);
      } else {
        static_cast<float*>(memory)[place] = value;
      }
    });
  }

  // [.., M, K] [.., K, N]
  Dense multiply(const GraphTensor& a, const GraphTensor& b, const GraphTensor& to) const {
    const Dense a_values = load(a), b_values = load(b);
    const size_t rank = to.dims.size();
    const int64_t m = to.dims[rank - 2], n = to.dims[rank - 1], k = a.dims[rank - 1];
    const auto batch_of = [rank](GraphTensor t) {
      t.dims.resize(rank - 2);
      return t;
    };
    const GraphTensor to_batch = batch_of(to), a_batch = batch_of(a), b_batch = batch_of(b);
    const Broadcast to_a(to_batch, a_batch), to_b(to_batch, b_batch);
    Dense result(index(to.count()));
    std::vector<double> sums(index(n));
    for (int64_t batch = 0; batch < to_batch.count(); ++batch) {
      const float* const a_matrix = &a_values[index(to_a(batch) * m * k)];
      const float* const b_matrix = &b_values[index(to_b(batch) * k * n)];
      for (int64_t row = 0; row < m; ++row) {
        std::fill(sums.begin(), sums.end(), 0.0);
        for (int64_t i = 0; i < k; ++i) {
          const double factor = a_matrix[row * k + i];
          for (int64_t col = 0; col < n; ++col) sums[index(col)] += factor * b_matrix[i * n + col];
        }
        for (int64_t col = 0; col < n; ++col) {
          result[index((batch * m + row) * n + col)] = static_cast<float>(sums[index(col)]);
        }
      }
    }
    return result;
  }

  Dense pointwise(const GraphOperation& operation) const {
    const GraphTensor& to = operation.output;
    Dense result(index(to.count()));
    if (operation.pointwise == CUDNN_POINTWISE_GEN_INDEX) {
      int64_t below = 1;
      for (size_t d = index(operation.axis) + 1; d < to.dims.size(); ++d) below *= to.dims[d];
      for (int64_t n = 0; n < to.count(); ++n) {
        result[index(n)] = static_cast<float>(n / below % to.dims[index(operation.axis)]);
      }
      return result;
    }
    std::vector<Dense> inputs;
    std::vector<Broadcast> places;
    for (const GraphTensor& input : operation.inputs) {
      inputs.push_back(load(input));
      places.emplace_back(to, input);
    }
    const auto read = [&](size_t i, int64_t n) {
      return i < inputs.size() ? inputs[i][index(places[i](n))] : 0.0f;
    };
    for (int64_t n = 0; n < to.count(); ++n) {
      result[index(n)] = compute_pointwise(operation.pointwise, read(0, n), read(1, n), read(2, n));
    }
    return result;
  }

  Dense reduce(const GraphOperation& operation) const {
    const GraphTensor& from = operation.inputs[0];
    const bool is_sum = operation.reduction == CUDNN_REDUCE_TENSOR_ADD;
    const Dense values = load(from);
    const Broadcast place(from, operation.output);
    std::vector<double> sums(index(operation.output.count()),
                             is_sum ? 0.0 : -std::numeric_limits<double>::infinity());
    for (int64_t n = 0; n < from.count(); ++n) {
      double& sum = sums[index(place(n))];
      const double value = values[index(n)];
      sum = is_sum ? sum + value : std::max(sum, value);
    }
    return {sums.begin(), sums.end()};
  }

  // The same memory under other dimensions and strides.
  Dense reshape(const GraphTensor& from, const GraphTensor& to) const {
    const Dense values = load(from);
    Dense image(index(std::max(from.extent(), to.extent())), 0.0f), result(index(to.count()));
    for_each_element(from,
                     [&](int64_t n, int64_t place) { image[index(place)] = values[index(n)]; });
    for_each_element(to, [&](int64_t n, int64_t place) { result[index(n)] = image[index(place)]; });
    return result;
  }

  const std::map<int64_t, void*>& memory_;
  float factor_;
  std::map<int64_t, Dense> values_;  // of virtual tensors
};

}  // namespace

int64_t GraphTensor::count() const {
  int64_t result = 1;
  for (const int64_t dim : dims) result *= dim;
  return result;
}

int64_t GraphTensor::extent() const {
  int64_t last = 0;
  for (size_t d = 0; d < dims.size(); ++d) last += (dims[d] - 1) * strides[d];
  return last + 1;
}

std::string find_unknown(const Graph& graph) {
  for (const GraphOperation& operation : graph) {
    if (operation.kind == GraphOperationKind::kPointwise && !is_known(operation.pointwise)) {
      return "pointwise operation " + std::to_string(operation.pointwise);
    }
    if (operation.kind == GraphOperationKind::kReduction &&
        operation.reduction != CUDNN_REDUCE_TENSOR_ADD &&
        operation.reduction != CUDNN_REDUCE_TENSOR_MAX) {
      return "reduction " + std::to_string(operation.reduction);
    }
  }
  return "";
}

void compute(const Graph& graph, const std::map<int64_t, void*>& memory, float factor) {
  Run run(memory, factor);
  std::vector<const GraphOperation*> left;
  for (const GraphOperation& operation : graph) left.push_back(&operation);
  // A virtual tensor is there when what writes it is done.
  while (!left.empty()) {
    const auto ready = std::find_if(left.begin(), left.end(), [&](const GraphOperation* operation) {
      return std::all_of(operation->inputs.begin(), operation->inputs.end(),
                         [&](const GraphTensor& t) { return run.is_there(t); });
    });
    PG_CHECK(ready != left.end(), "a graph whose operations wait for each other");
    run.compute(**ready);
    left.erase(ready);
  }
}

}  // namespace pg::fake_cudnn
