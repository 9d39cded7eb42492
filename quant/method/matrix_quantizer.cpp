#include "quant/method/matrix_quantizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "quant/format/half.h"
#include "quant/format/scale_grid.h"
#include "quant/format/storage_bits.h"
#include "quant/method/gptq_lite.h"
#include "quant/method/row_quantile.h"
#include "quant/method/row_scales.h"
#include "src/base/check.h"
#include "src/base/error.h"
#include "src/base/exact_math.h"
#include "src/base/simd_math.h"
#include "src/base/threads.h"

namespace pg {
namespace {

// A row that calibration hardly met still has some effect: its weight is at least this share of the
// matrix's mean. Keeps scales within a factor of 8 of each other on that side.
constexpr double kLeastRowWeight = 1.0 / 64;
constexpr int kWidestCode = 127;

std::span<const float> row_of(const HostTensor& w, int64_t r) {
  return std::span(w.values).subspan(static_cast<size_t>(r * w.spec.cols),
                                     static_cast<size_t>(w.spec.cols));
}

void require_finite_scale(uint16_t half, const HostTensor& w, size_t row) {
  if (is_finite_half(half)) return;
  throw Error(fmt::format(
      "weight is too large for fp16: the scale of row {} of \"{}\" passes 65504; go back to an "
      "earlier checkpoint or lower the learning rate",
      row, w.spec.name));
}

std::vector<uint16_t> to_halves(const HostTensor& w, const std::vector<float>& scales,
                                double coarseness) {
  std::vector<uint16_t> halves;
  for (const float scale : scales) {
    halves.push_back(half_from_float(static_cast<float>(coarseness * static_cast<double>(scale))));
    require_finite_scale(halves.back(), w, halves.size() - 1);
  }
  return halves;
}

// Of columns [begin, begin + count).
std::vector<float> row_max_scales(const HostTensor& w, int64_t begin, int64_t count, int limit,
                                  double quantile = 1.0) {
  std::vector<float> scales, magnitudes(static_cast<size_t>(count));
  for (int64_t r = 0; r < w.spec.rows; ++r) {
    const auto row = row_of(w, r).subspan(static_cast<size_t>(begin), static_cast<size_t>(count));
    std::ranges::transform(row, magnitudes.begin(), [](float v) { return std::fabs(v); });
    sort_tail(magnitudes, quantile);
    scales.push_back(interpolate_quantile(magnitudes, quantile) / static_cast<float>(limit));
  }
  return scales;
}

// The grid of a tensor in the form that rounding takes.
struct GridScales {
  std::vector<float> rows, cols, fine_rows;

  explicit GridScales(const QuantTensor& t) {
    for (int64_t r = 0; r < t.rows; ++r) {
      const auto row = static_cast<size_t>(r);
      rows.push_back(t.is_factored ? static_cast<float>(t.scale * offset_factor(t.row_offsets[row]))
                                   : float_from_half(t.halves[row]));
    }
    if (t.is_factored) {
      for (const int8_t offset : t.col_offsets) {
        cols.push_back(static_cast<float>(offset_factor(offset)));
      }
    }
    for (const uint16_t half : t.fine.scales) fine_rows.push_back(float_from_half(half));
  }

  RoundingGrid grid(const QuantTensor& t) const {
    return {.max_code = t.is_factored ? kWidestCode : max_code(t.bits),
            .row_scales = rows,
            .col_factors = cols,
            .fine_begin = t.fine.begin,
            .fine_end = t.fine.begin + t.fine.count,
            .fine_max_code = kWidestCode,
            .fine_row_scales = fine_rows};
  }
};

float scale_of(const RoundingGrid& grid, size_t r, size_t c) {
  const auto column = static_cast<int64_t>(c);
  if (column >= grid.fine_begin && column < grid.fine_end) return grid.fine_row_scales[r];
  return grid.row_scales[r] * (grid.col_factors.empty() ? 1.0f : grid.col_factors[c]);
}

std::vector<int8_t> round_to_nearest(const HostTensor& w, const RoundingGrid& grid) {
  std::vector<int8_t> codes(w.values.size());
  parallel_ranges(w.spec.rows, 64, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const std::span<const float> row = row_of(w, r);
      for (size_t c = 0; c < row.size(); ++c) {
        const bool fine =
            static_cast<int64_t>(c) >= grid.fine_begin && static_cast<int64_t>(c) < grid.fine_end;
        const auto limit = static_cast<float>(fine ? grid.fine_max_code : grid.max_code);
        const float scale = scale_of(grid, static_cast<size_t>(r), c);
        const float x = scale > 0 ? row[c] / scale : 0.0f;
        codes[static_cast<size_t>(r * w.spec.cols) + c] =
            static_cast<int8_t>(std::nearbyint(std::clamp(x, -limit, limit)));
      }
    }
  });
  return codes;
}

// A factored grid has as many levels as it needs: the smallest width that holds its codes.
int needed_bits(const std::vector<int8_t>& codes) {
  int largest = 0;
  for (const int8_t code : codes) largest = std::max<int>(largest, std::abs(code));
  int bits = 2;
  while (max_code(bits) < largest) ++bits;
  return bits;
}

}  // namespace

MatrixQuantizer::MatrixQuantizer(const HostTensor& weights, const QuantConfig& quant,
                                 const SensitivityTerm* sensitivity,
                                 std::shared_ptr<const GptqFactor> factor, int bit_change)
    : weights_(&weights),
      quant_(&quant),
      sensitivity_(sensitivity),
      factor_(std::move(factor)),
      bit_change_(bit_change) {
  const bool by_sensitivity = quant.scales == ScaleRule::kSensitivity;
  if (sensitivity_ == nullptr && (by_sensitivity || quant.rounding == Rounding::kGptq ||
                                  quant.scales == ScaleRule::kSdClipHessian)) {
    throw Error(fmt::format(
        "no calibration for \"{}\": scales \"{}\" with rounding \"{}\" need it; give training "
        "text, or set quant.scales = \"sdclip\" and quant.rounding = \"nearest\"",
        weights.spec.name, choice_name(quant.scales), choice_name(quant.rounding)));
  }
  if (by_sensitivity) choose_sensitivity_offsets();
  least_coarseness_ = find_least_coarseness();
}

void MatrixQuantizer::choose_sensitivity_offsets() {
  const auto rows = static_cast<size_t>(weights_->spec.rows);
  const auto cols = static_cast<size_t>(weights_->spec.cols);
  const bool feedback = quant_->rounding == Rounding::kGptq;
  double mean_weight = 0;
  for (const float w : sensitivity_->row_weight) mean_weight += static_cast<double>(w);
  mean_weight = std::max(mean_weight / static_cast<double>(rows), 1e-30);

  std::vector<double> log_rows(rows), log_cols(cols);  // log2 of the wanted factors
  double row_mean = 0, col_mean = 0;
  for (size_t r = 0; r < rows; ++r) {
    const double w =
        std::max(static_cast<double>(sensitivity_->row_weight[r]), kLeastRowWeight * mean_weight);
    row_mean += log_rows[r] = -0.5 * log2_f64(w);
  }
  for (size_t k = 0; k < cols; ++k) {
    const auto c = static_cast<size_t>(factor_->order[k]);
    const double variance = feedback ? static_cast<double>(factor_->conditional[k])
                                     : static_cast<double>(sensitivity_->hessian[c * cols + c]);
    col_mean += log_cols[c] = -0.5 * log2_f64(std::max(variance, 1e-30));
  }
  row_mean /= static_cast<double>(rows);
  col_mean /= static_cast<double>(cols);
  base_scale_ = exp2_f64(row_mean + col_mean);
  for (const double x : log_rows) {
    row_offsets_.push_back(static_cast<int8_t>(nearest_offset(exp2_f64(x - row_mean))));
  }
  for (const double x : log_cols) {
    col_offsets_.push_back(static_cast<int8_t>(nearest_offset(exp2_f64(x - col_mean))));
  }
  for (int64_t r = 0; r < weights_->spec.rows; ++r) {
    const std::span<const float> row = row_of(*weights_, r);
    double widest = 0;
    for (size_t c = 0; c < cols; ++c) {
      const double w = std::fabs(static_cast<double>(row[c]));
      widest = std::max(widest, w / (kWidestCode * offset_factor(col_offsets_[c])));
    }
    widest_scales_.push_back(widest);
  }
}

void MatrixQuantizer::set_fine_columns(int64_t begin, int64_t count) {
  fine_begin_ = begin;
  fine_count_ = count;
}

QuantTensor MatrixQuantizer::make_grid(double coarseness) const {
  const HostTensor& w = *weights_;
  QuantTensor t{.name = w.spec.name, .rows = w.spec.rows, .cols = w.spec.cols};
  t.bits = storage_bits(w.spec, *quant_) + bit_change_;
  const ScaleRule rule = quant_->scales;
  if (rule == ScaleRule::kSensitivity) {
    t.is_factored = true;
    t.scale = static_cast<float>(coarseness * base_scale_);
    t.row_offsets = row_offsets_;
    t.col_offsets = col_offsets_;
    for (size_t r = 0; r < row_offsets_.size(); ++r) {  // a row whose codes would clip is coarser
      const double needed = std::ceil(4 * log2_f64(widest_scales_[r] / (coarseness * base_scale_)));
      t.row_offsets[r] =
          static_cast<int8_t>(std::clamp<double>(needed, row_offsets_[r], kMaxOffset));
    }
  } else if (rule == ScaleRule::kTernary) {
    t.bits = 2;
    t.halves = to_halves(w, ternary_scales(w.values, t.rows, t.cols), 1.0);
  } else if (rule == ScaleRule::kRowMax) {
    const double quantile = w.spec.group == ParamGroup::kEmbedding ? quant_->embed_row_max_quantile
                                                                   : quant_->row_max_quantile;
    t.halves = to_halves(w, row_max_scales(w, 0, t.cols, max_code(t.bits), quantile), coarseness);
  } else if (rule == ScaleRule::kSdClip) {
    t.halves = to_halves(
        w, sdclip_scales(w.values, t.rows, t.cols, clip_sigmas(w.spec, *quant_), max_code(t.bits)),
        coarseness);
  } else if (rule == ScaleRule::kSdClipHessian) {
    t.halves =
        to_halves(w,
                  sdclip_hessian_scales(
                      w.values, t.rows, t.cols, hessian_diagonal(*sensitivity_, t.cols),
                      clip_sigmas(w.spec, *quant_), quant_->hessian_lambda, max_code(t.bits)),
                  coarseness);
  } else {
    // Coarser than published: every scale. Finer: the floor alone, for the clips are searched.
    const QuantizedRows rows = quantize_gptq_lite(w.values, t.rows, t.cols,
                                                  {.bits = t.bits,
                                                   .floor_factor = std::min(coarseness, 1.0),
                                                   .per_row = rule == ScaleRule::kGptqLiteRow});
    std::vector<float> row_scales;
    for (const uint16_t half : rows.scales) row_scales.push_back(float_from_half(half));
    t.halves = to_halves(w, row_scales, std::max(coarseness, 1.0));
  }
  if (fine_count_ > 0 && !t.is_factored) {
    t.fine = {
        .begin = fine_begin_,
        .count = fine_count_,
        .scales = to_halves(w, row_max_scales(w, fine_begin_, fine_count_, kWidestCode), 1.0)};
  }
  return t;
}

QuantizedMatrix MatrixQuantizer::quantize(double coarseness) const {
  const HostTensor& w = *weights_;
  QuantizedMatrix out{.tensor = make_grid(coarseness)};
  QuantTensor& t = out.tensor;
  const GridScales scales(t);
  const RoundingGrid grid = scales.grid(t);
  std::vector<double> row_errors;
  if (quant_->rounding == Rounding::kGptq) {
    GptqResult rounded = quantize_gptq(w.values, t.rows, t.cols, *factor_, grid);
    t.codes = std::move(rounded.codes);
    row_errors = std::move(rounded.row_errors);
  } else {
    t.codes = round_to_nearest(w, grid);
    if (sensitivity_ != nullptr) {
      std::vector<float> difference = dequantize(t, w.spec).values;
      for (size_t i = 0; i < difference.size(); ++i) difference[i] -= w.values[i];
      row_errors = hessian_row_errors(difference, t.rows, t.cols, sensitivity_->hessian);
    }
  }
  if (t.is_factored) t.bits = needed_bits(t.codes);
  if (sensitivity_ == nullptr) return out;
  for (size_t r = 0; r < row_errors.size(); ++r) {
    out.loss_nats += 0.5 * static_cast<double>(sensitivity_->row_weight[r]) * row_errors[r];
  }
  return out;
}

QuantTensor MatrixQuantizer::quantize_nearest(double coarseness) const {
  QuantTensor t = make_grid(coarseness);
  const GridScales scales(t);
  t.codes = round_to_nearest(*weights_, scales.grid(t));
  return t;
}

double MatrixQuantizer::find_least_coarseness() const {
  const ScaleRule rule = quant_->scales;
  if (rule == ScaleRule::kTernary) return 1;  // its scales are the rows' mean magnitudes
  // The published methods clip on purpose; finer than a third of their scales nobody went.
  if (rule != ScaleRule::kSensitivity) return is_clip_search(rule) ? 1e-6 : 1.0 / 3;
  double least = std::numeric_limits<double>::infinity();
  for (size_t r = 0; r < widest_scales_.size(); ++r) {
    least = std::min(least, widest_scales_[r] / (base_scale_ * offset_factor(row_offsets_[r])));
  }
  return least;
}

SensitivityTerm combine_terms(const Sensitivity& sensitivity) {
  PG_CHECK(!sensitivity.terms.empty(), "a sensitivity without terms");
  if (sensitivity.terms.size() == 1) return sensitivity.terms.front();
  SensitivityTerm sum;
  const size_t cells = sensitivity.terms.front().hessian.size();
  const size_t rows = sensitivity.terms.front().row_weight.size();
  const auto cols = static_cast<size_t>(std::llround(std::sqrt(static_cast<double>(cells))));
  std::vector<double> hessian(cells), row_weight(rows);
  double total = 0;  // sum over terms of mean row weight times trace
  for (const SensitivityTerm& term : sensitivity.terms) {
    double mean = 0, trace = 0;
    for (const float w : term.row_weight) mean += static_cast<double>(w);
    mean /= static_cast<double>(rows);
    for (size_t c = 0; c < cols; ++c) trace += static_cast<double>(term.hessian[c * cols + c]);
    for (size_t i = 0; i < cells; ++i) hessian[i] += mean * static_cast<double>(term.hessian[i]);
    for (size_t r = 0; r < rows; ++r)
      row_weight[r] += static_cast<double>(term.row_weight[r]) * trace;
    total += mean * trace;
  }
  for (const double h : hessian) sum.hessian.push_back(static_cast<float>(h));
  for (const double w : row_weight) {
    sum.row_weight.push_back(static_cast<float>(total > 0 ? w / total : 0));
  }
  return sum;
}

std::vector<float> hessian_diagonal(const SensitivityTerm& term, int64_t cols) {
  std::vector<float> diagonal;
  for (int64_t c = 0; c < cols; ++c) {
    diagonal.push_back(term.hessian[static_cast<size_t>(c * cols + c)]);
  }
  return diagonal;
}

double mean_scale(const QuantTensor& t) {
  const GridScales scales(t);
  const auto mean_log = [](const std::vector<float>& v) {
    double sum = 0;
    for (const float x : v) sum += log_f64(static_cast<double>(x));
    return v.empty() ? 0.0 : sum / static_cast<double>(v.size());
  };
  return exp_f64(mean_log(scales.rows) + mean_log(scales.cols));
}

}  // namespace pg
