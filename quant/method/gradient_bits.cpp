#include "quant/method/gradient_bits.h"

#include <algorithm>
#include <numeric>

#include "src/base/check.h"

namespace pg {

double mean_squared_gradient(const SensitivityTerm& term) {
  const size_t rows = term.row_weight.size();
  PG_CHECK(rows > 0 && !term.hessian.empty(), "a matrix has rows and columns");
  size_t cols = 1;
  while (cols * cols < term.hessian.size()) ++cols;
  double trace = 0;
  for (size_t c = 0; c < cols; ++c) trace += static_cast<double>(term.hessian[c * cols + c]);
  const double weight = std::accumulate(term.row_weight.begin(), term.row_weight.end(), 0.0);
  return trace / static_cast<double>(cols) * (weight / static_cast<double>(rows));
}

std::vector<int> rank_by_gradient(std::span<const HostTensor> tensors,
                                  std::span<const std::optional<SensitivityTerm>> terms) {
  std::vector<int> changes(tensors.size(), 0);
  std::vector<double> squares(tensors.size(), 0.0), ranked;
  const auto is_ranked = [&](size_t i) {
    return terms[i].has_value() && tensors[i].spec.rows >= kLeastRankedRows;
  };
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (!is_ranked(i)) continue;
    squares[i] = mean_squared_gradient(*terms[i]);
    ranked.push_back(squares[i]);
  }
  if (ranked.size() <= 4) return changes;
  std::ranges::sort(ranked);
  const double low = ranked[ranked.size() / 5], high = ranked[9 * ranked.size() / 10];
  for (size_t i = 0; i < tensors.size(); ++i) {
    const ParamGroup group = tensors[i].spec.group;
    const bool is_table = group == ParamGroup::kEmbedding || group == ParamGroup::kHead;
    if (!is_ranked(i) || is_table) continue;
    changes[i] = squares[i] >= high ? 1 : squares[i] <= low ? -1 : 0;
  }
  return changes;
}

}  // namespace pg
