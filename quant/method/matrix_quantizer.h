// One matrix of a model on its way to codes: the grid that the recipe's method gives it, at any
// overall coarseness, and what that costs in loss.
//
// Scales by sensitivity. The loss rises by about 1/2 sum_r w_r e_r H e_rT (calibration.h). Error
// feedback turns e H eT into sum_c d_c e_c^2, with D from H = U D UT, and a scale s leaves e^2 of
// s^2/12 on average; a weight with scale s costs const - log2 s bits. The least loss for a number of
// bytes has the same w_r d_c s^2 everywhere (reverse water-filling at high rate): s_rc is
// proportional to 1/sqrt(w_r d_c), one constant for the whole model.
#pragma once
#include <memory>

#include "quant/format/quant_config.h"
#include "quant/format/quant_model.h"
#include "quant/method/calibration.h"
#include "quant/method/gptq.h"

namespace pg {

struct QuantizedMatrix {
  QuantTensor tensor = {};
  double loss_nats = 0;  // predicted rise of the loss per token; 0 without sensitivity
};

class MatrixQuantizer {
 public:
  // `weights` must outlive this. sensitivity: null where there is none; the method must not need
  // it. bit_change: more bits than storage_bits() says.
  MatrixQuantizer(const HostTensor& weights, const QuantConfig& quant,
                  const SensitivityTerm* sensitivity, std::shared_ptr<const GptqFactor> factor,
                  int bit_change = 0);

  // Every scale of the method times `coarseness`; below 1 only the smallest scale of GPTQ-lite.
  QuantizedMatrix quantize(double coarseness) const;
  // The same by rounding to the nearest, whatever the recipe says: fast, for estimates of size.
  QuantTensor quantize_nearest(double coarseness) const;

  // Columns [begin, begin + count) get int8 codes and scales of their own from now on.
  void set_fine_columns(int64_t begin, int64_t count);
  // Below this coarseness codes would pass what 8 bits hold, and finer scales would clip.
  double least_coarseness() const { return least_coarseness_; }

 private:
  QuantTensor make_grid(double coarseness) const;  // everything but the codes
  void choose_sensitivity_offsets();
  double find_least_coarseness() const;

  const HostTensor* weights_;
  const QuantConfig* quant_;
  const SensitivityTerm* sensitivity_;
  std::shared_ptr<const GptqFactor> factor_;
  int bit_change_;
  int64_t fine_begin_ = 0, fine_count_ = 0;
  // Scales by sensitivity at coarseness 1.
  double base_scale_ = 0;
  double least_coarseness_ = 1;
  std::vector<double> widest_scales_;  // [rows] below these a code would not fit
  std::vector<int8_t> row_offsets_, col_offsets_;
};

// All terms as one: the same sum of row weights times traces. A tied embedding has two.
SensitivityTerm combine_terms(const Sensitivity& sensitivity);

std::vector<float> hessian_diagonal(const SensitivityTerm& term, int64_t cols);

// Geometric mean of a tensor's scales over its weights; 0 when some are 0.
double mean_scale(const QuantTensor& tensor);

}  // namespace pg
