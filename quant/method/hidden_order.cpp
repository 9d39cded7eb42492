#include "quant/method/hidden_order.h"

#include <algorithm>
#include <numeric>

namespace pg {

std::vector<int32_t> order_hidden(const SensitivityTerm& up) {
  std::vector<int32_t> order(up.row_weight.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return up.row_weight[static_cast<size_t>(a)] > up.row_weight[static_cast<size_t>(b)];
  });
  return order;
}

void permute_rows(const std::vector<int32_t>& order, HostTensor& weights, SensitivityTerm& term) {
  const std::vector<float> from = weights.values, weight = term.row_weight;
  const auto cols = static_cast<size_t>(weights.spec.cols);
  for (size_t r = 0; r < order.size(); ++r) {
    const auto source = static_cast<size_t>(order[r]);
    std::copy_n(from.begin() + static_cast<int64_t>(source * cols), cols,
                weights.values.begin() + static_cast<int64_t>(r * cols));
    term.row_weight[r] = weight[source];
  }
}

void permute_columns(const std::vector<int32_t>& order, HostTensor& weights,
                     SensitivityTerm& term) {
  const size_t cols = order.size();
  const auto permute = [&](std::vector<float>& values) {
    std::vector<float> row(cols);
    for (size_t begin = 0; begin < values.size(); begin += cols) {
      for (size_t c = 0; c < cols; ++c) row[c] = values[begin + static_cast<size_t>(order[c])];
      std::copy(row.begin(), row.end(), values.begin() + static_cast<int64_t>(begin));
    }
  };
  permute(weights.values);
  permute(term.hessian);
  const std::vector<float> rows = term.hessian;
  for (size_t r = 0; r < cols; ++r) {
    std::copy_n(rows.begin() + static_cast<int64_t>(static_cast<size_t>(order[r]) * cols), cols,
                term.hessian.begin() + static_cast<int64_t>(r * cols));
  }
}

}  // namespace pg
