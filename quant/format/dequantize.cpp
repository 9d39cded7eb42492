// Codes back to fp32. Apart from quantize.cpp because a decoder needs this and not the quantiser.
#include "quant/format/code_limits.h"
#include "quant/format/half.h"
#include "quant/format/quant_model.h"
#include "quant/format/scale_grid.h"
#include "src/base/check.h"
#include "src/base/threads.h"

namespace pg {
namespace {

// The scales of one tensor, in double: a code of 8 bits, a scale of 24 and factors of 53 are
// multiplied there in a fixed order and rounded to float once, so every machine gets the same bits.
class ScaleTable {
 public:
  explicit ScaleTable(const QuantTensor& t) : t_(&t), columns_(static_cast<size_t>(t.cols), 1.0) {
    if (!t.is_factored) return;
    for (size_t c = 0; c < columns_.size(); ++c) columns_[c] = offset_factor(t.col_offsets[c]);
  }
  double row(size_t r) const {
    if (!t_->is_factored) return float_from_half(t_->halves[r]);
    return static_cast<double>(t_->scale) * offset_factor(t_->row_offsets[r]);
  }
  double column(size_t c) const { return columns_[c]; }

 private:
  const QuantTensor* t_;
  std::vector<double> columns_;
};

void dequantize_row(const QuantTensor& t, const ScaleTable& scales, int64_t r, float* values) {
  const auto row = static_cast<size_t>(r);
  const double scale = scales.row(row);
  const int8_t* codes = t.codes.data() + r * t.cols;
  for (int64_t c = 0; c < t.cols; ++c) {
    values[c] = static_cast<float>(codes[c] * (scale * scales.column(static_cast<size_t>(c))));
  }
  const double fine_scale = t.fine.count > 0 ? float_from_half(t.fine.scales[row]) : 0.0;
  for (int64_t c = t.fine.begin; c < t.fine.begin + t.fine.count; ++c) {
    values[c] = static_cast<float>(codes[c] * fine_scale);
  }
}

}  // namespace

HostTensor dequantize(const QuantTensor& tensor, const ParamSpec& spec) {
  PG_CHECK(tensor.rows == spec.rows && tensor.cols == spec.cols, "tensor does not match its spec");
  HostTensor out{.spec = spec, .values = std::vector<float>(static_cast<size_t>(spec.elements()))};
  float* values = out.values.data();
  if (tensor.bits == kHalfBits) {
    for (size_t i = 0; i < out.values.size(); ++i) values[i] = float_from_half(tensor.halves[i]);
    return out;
  }
  const ScaleTable scales(tensor);
  parallel_ranges(tensor.rows, 64, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      dequantize_row(tensor, scales, r, values + r * tensor.cols);
    }
  });
  if (tensor.low_rank.rank > 0) add_low_rank(tensor.low_rank, tensor.rows, tensor.cols, out.values);
  return out;
}

}  // namespace pg
