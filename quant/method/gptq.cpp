// The published form works with the Cholesky factor of H^-1. With H = U D U^T, U unit upper
// triangular, the same sweep needs neither an inverse nor a second factor: the error of a row is
//   e H e^T = sum_k D_k (e U)_k^2,  (e U)_k = w_k + sum_{j<k} e_j U_jk - q_k,  e_j = w_j - q_j,
// and GPTQ makes each term as small as it can in turn, by rounding w_k + sum_{j<k} e_j U_jk.
// U D U^T comes from the ordinary Cholesky factor of H with its indices reversed.
#include "quant/method/gptq.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "quant/method/cholesky.h"
#include "quant/method/fused_product.h"
#include "src/base/check.h"
#include "src/base/error.h"
#include "src/base/threads.h"

namespace pg {
namespace {

// Errors of earlier panels arrive by a matrix product, those within a panel one by one. 64 rows of
// 2048 errors stay in the second-level cache.
constexpr int64_t kPanelColumns = 64;
constexpr int64_t kChunkRows = kFusedColumns;

// What one place of the processing order needs to round its column.
struct Place {
  int64_t column;
  bool dead;
  float factor;             // of the scale
  const float* row_scales;  // [rows]
  float limit;
  double conditional;
};

std::vector<Place> list_places(const GptqFactor& factor, const RoundingGrid& grid) {
  std::vector<Place> places;
  for (size_t k = 0; k < factor.order.size(); ++k) {
    const int64_t column = factor.order[k];
    const bool is_fine = column >= grid.fine_begin && column < grid.fine_end;
    places.push_back({.column = column,
                      .dead = factor.dead[at(column)] != 0,
                      .factor = grid.col_factors.empty() ? 1.0f : grid.col_factors[at(column)],
                      .row_scales = is_fine ? grid.fine_row_scales.data() : grid.row_scales.data(),
                      .limit = static_cast<float>(is_fine ? grid.fine_max_code : grid.max_code),
                      .conditional = static_cast<double>(factor.conditional[k])});
  }
  return places;
}

// One chunk of rows through all columns.
class RowSweep {
 public:
  RowSweep(int64_t cols, const std::vector<Place>& places, const float* feedback)
      : cols_(cols),
        places_(places),
        feedback_(feedback),
        errors_(at(cols * kChunkRows)),
        weights_(at(kPanelColumns * kChunkRows)),
        wanted_(at(kPanelColumns * kChunkRows)) {}

  // `values` and `codes` begin at row `first`; row_errors are those of the chunk.
  void run(const float* values, int64_t first, int64_t rows, int8_t* codes, double* row_errors) {
    for (int64_t begin = 0; begin < cols_; begin += kPanelColumns) {
      const int64_t width = std::min(kPanelColumns, cols_ - begin);
      load_panel(values, rows, begin, width);
      add_fused_product<float>({feedback_ + begin, 1, cols_}, errors_.data(), width, begin,
                               wanted_.data());
      for (int64_t k = 0; k < width; ++k) {
        const Place& place = places_[at(begin + k)];
        float* const errors = errors_.data() + (begin + k) * kChunkRows;
        round_column(place, first, rows, weights_.data() + k * kChunkRows,
                     wanted_.data() + k * kChunkRows, errors, codes + place.column, row_errors);
        const float* const onto = feedback_ + (begin + k) * cols_ + begin;
        for (int64_t next = k + 1; next < width; ++next) {
          add_fused_steps<1, 1, float>({onto + next, 1, 1}, errors,
                                       wanted_.data() + next * kChunkRows);
        }
      }
    }
  }

 private:
  // Rows past the last of a short chunk stay zero, as do their errors.
  void load_panel(const float* values, int64_t rows, int64_t begin, int64_t width) {
    std::fill(weights_.begin(), weights_.end(), 0.0f);
    for (int64_t k = 0; k < width; ++k) {
      const Place& place = places_[at(begin + k)];
      if (place.dead) continue;
      float* const column = weights_.data() + k * kChunkRows;
      for (int64_t r = 0; r < rows; ++r) column[r] = values[r * cols_ + place.column];
    }
    wanted_ = weights_;
  }

  void round_column(const Place& place, int64_t first, int64_t rows, const float* weights,
                    const float* wanted, float* errors, int8_t* codes, double* row_errors) const {
    const float* const row_scales = place.row_scales + first;
    float rounded[kChunkRows] = {};
#pragma omp simd
    for (int64_t r = 0; r < rows; ++r) {
      const float scale = row_scales[r] * place.factor;
      const float ratio = scale > 0 ? wanted[r] / scale : 0.0f;
      rounded[r] = std::nearbyint(std::clamp(ratio, -place.limit, place.limit));
      errors[r] = std::fma(-rounded[r], scale, weights[r]);
      const auto left = static_cast<double>(std::fma(-rounded[r], scale, wanted[r]));
      row_errors[r] = std::fma(place.conditional * left, left, row_errors[r]);
    }
    for (int64_t r = 0; r < rows; ++r) codes[r * cols_] = static_cast<int8_t>(rounded[r]);
  }

  int64_t cols_;
  const std::vector<Place>& places_;
  const float* feedback_;  // [cols, cols]
  // By columns in processing order, so that a column's rows lie together.
  std::vector<float> errors_;            // [cols, kChunkRows] w - q
  std::vector<float> weights_, wanted_;  // [kPanelColumns, kChunkRows] before and after feedback
};

void check_grid(const RoundingGrid& grid, int64_t rows, int64_t cols) {
  const auto are_finite = [](std::span<const float> scales) {
    return std::all_of(scales.begin(), scales.end(), [](float s) { return std::isfinite(s); });
  };
  PG_CHECK(grid.max_code >= 1 && grid.max_code <= 127, "codes are int8");
  PG_CHECK(std::ssize(grid.row_scales) == rows && are_finite(grid.row_scales),
           "row scales must be finite, one a row");
  PG_CHECK(grid.col_factors.empty() || std::ssize(grid.col_factors) == cols,
           "column factors must be [cols] or empty");
  if (grid.fine_begin == grid.fine_end) return;
  PG_CHECK(0 <= grid.fine_begin && grid.fine_begin < grid.fine_end && grid.fine_end <= cols,
           "fine columns lie in the matrix");
  PG_CHECK(grid.fine_max_code >= 1 && grid.fine_max_code <= 127, "codes are int8");
  PG_CHECK(std::ssize(grid.fine_row_scales) == rows && are_finite(grid.fine_row_scales),
           "fine row scales must be finite, one a row");
}

// Descending diagonal; equal ones keep their order.
std::vector<int32_t> sort_columns(std::span<const double> diagonal) {
  std::vector<int32_t> order(diagonal.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return diagonal[static_cast<size_t>(a)] > diagonal[static_cast<size_t>(b)];
  });
  return order;
}

// Lower Cholesky factor of H with `diagonal` in place of its own and its places reversed.
std::vector<double> factor_reversed(std::span<const float> hessian,
                                    std::span<const double> diagonal,
                                    const std::vector<int32_t>& order) {
  const auto cols = std::ssize(order);
  std::vector<double> lower(at(cols * cols));
  parallel_ranges(cols, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = order[at(cols - 1 - i)];
      for (int64_t j = 0; j < i; ++j) {
        lower[at(i * cols + j)] =
            static_cast<double>(hessian[at(row * cols + order[at(cols - 1 - j)])]);
      }
      lower[at(i * cols + i)] = diagonal[at(row)];
    }
  });
  if (!factor_cholesky(lower, cols)) {
    throw Error(
        "hessian is not positive definite after damping; raise the damping or check that "
        "the calibration activations are finite");
  }
  return lower;
}

}  // namespace

GptqFactor factor_hessian(std::span<const float> hessian, int64_t cols, double damping) {
  PG_CHECK(cols > 0 && std::ssize(hessian) == cols * cols, "hessian must be [cols, cols]");
  GptqFactor out;
  std::vector<double> diagonal(at(cols));
  double live_sum = 0, live = 0;
  for (int64_t c = 0; c < cols; ++c) {
    diagonal[at(c)] = static_cast<double>(hessian[at(c * cols + c)]);
    out.dead.push_back(diagonal[at(c)] == 0);
    live_sum += diagonal[at(c)];
    live += !out.dead.back();
  }
  // A dead column is alone in its row and column: any positive diagonal does.
  const double mean = live > 0 ? live_sum / live : 1.0;
  for (int64_t c = 0; c < cols; ++c) {
    diagonal[at(c)] = (out.dead[at(c)] ? mean : diagonal[at(c)]) + damping * mean;
  }
  out.order = sort_columns(diagonal);

  const std::vector<double> lower = factor_reversed(hessian, diagonal, out.order);
  out.feedback.assign(at(cols * cols), 0.0f);
  out.conditional.resize(at(cols));
  std::vector<double> inverse(at(cols));
  for (int64_t j = 0; j < cols; ++j) {
    const double root = lower[at((cols - 1 - j) * (cols + 1))];
    out.conditional[at(j)] = static_cast<float>(root * root);
    inverse[at(j)] = 1 / root;
  }
  parallel_ranges(cols, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      for (int64_t j = i; j < cols; ++j) {
        out.feedback[at(i * cols + j)] =
            static_cast<float>(lower[at((cols - 1 - i) * cols + cols - 1 - j)] * inverse[at(j)]);
      }
    }
  });
  return out;
}

GptqResult quantize_gptq(std::span<const float> values, int64_t rows, int64_t cols,
                         const GptqFactor& factor, const RoundingGrid& grid) {
  PG_CHECK(rows > 0 && std::ssize(values) == rows * cols, "values must be [rows, cols]");
  PG_CHECK(std::ssize(factor.order) == cols, "the factor is of another width");
  check_grid(grid, rows, cols);
  const std::vector<Place> places = list_places(factor, grid);
  GptqResult out{.codes = std::vector<int8_t>(values.size()),
                 .row_errors = std::vector<double>(at(rows))};
  parallel_ranges(rows, kChunkRows, [&](int64_t begin, int64_t end) {
    RowSweep(cols, places, factor.feedback.data())
        .run(values.data() + begin * cols, begin, end - begin, out.codes.data() + begin * cols,
             out.row_errors.data() + begin);
  });
  return out;
}

std::vector<double> hessian_row_errors(std::span<const float> difference, int64_t rows,
                                       int64_t cols, std::span<const float> hessian) {
  PG_CHECK(std::ssize(difference) == rows * cols, "difference must be [rows, cols]");
  PG_CHECK(std::ssize(hessian) == cols * cols, "hessian must be [cols, cols]");
  // In double: errors that lie where H is small are differences of far larger products.
  std::vector<double> errors(at(rows));
  parallel_ranges(rows, kChunkRows, [&](int64_t begin, int64_t end) {
    const std::span<const float> own =
        difference.subspan(at(begin * cols), at((end - begin) * cols));
    const std::vector<double> e(own.begin(), own.end());
    std::vector<double> panel(at(cols * kFusedColumns)), product;
    for (int64_t first = 0; first < cols; first += kFusedColumns) {
      const int64_t width = std::min(kFusedColumns, cols - first);
      for (int64_t k = 0; k < cols; ++k) {
        std::copy_n(hessian.data() + k * cols + first, width, panel.data() + k * kFusedColumns);
      }
      product.assign(at((end - begin) * kFusedColumns), 0.0);
      add_fused_product<double>({e.data(), cols, 1}, panel.data(), end - begin, cols,
                                product.data());
      for (int64_t r = begin; r < end; ++r) {
        const double* const of_row = product.data() + (r - begin) * kFusedColumns;
        const double* const e_row = e.data() + (r - begin) * cols + first;
        for (int64_t c = 0; c < width; ++c) {
          errors[at(r)] = std::fma(of_row[c], e_row[c], errors[at(r)]);
        }
      }
    }
  });
  return errors;
}

}  // namespace pg
