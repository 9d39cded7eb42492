// One matrix of a model on its way to codes: the grid that the recipe's method gives it, at any
// overall scale, and what that costs in loss.
//
// Steps by sensitivity. The loss rises by about 1/2 sum_r w_r e_r H e_rT (calibration.h). Error
// feedback turns e H eT into sum_c d_c e_c^2, with D from H = U D UT, and a step s leaves e^2 of
// s^2/12 on average; a weight with step s costs const - log2 s bits. The least loss for a number of
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
  // it.
  MatrixQuantizer(const HostTensor& weights, const QuantConfig& quant,
                  const SensitivityTerm* sensitivity, std::shared_ptr<const GptqFactor> factor);

  // Every step of the method times `scale`; below 1 only the smallest step of GPTQ-lite.
  QuantizedMatrix quantize(double scale) const;
  // The same by rounding to the nearest, whatever the recipe says: fast, for estimates of size.
  QuantTensor quantize_nearest(double scale) const;

  // Columns [begin, begin + count) get int8 codes and steps of their own from now on.
  void set_fine_columns(int64_t begin, int64_t count);
  // Below this scale codes would pass what 8 bits hold, and finer steps would clip.
  double least_scale() const { return least_scale_; }

 private:
  QuantTensor make_grid(double scale) const;  // everything but the codes
  void choose_sensitivity_offsets();
  double find_least_scale() const;

  const HostTensor* weights_;
  const QuantConfig* quant_;
  const SensitivityTerm* sensitivity_;
  std::shared_ptr<const GptqFactor> factor_;
  int64_t fine_begin_ = 0, fine_count_ = 0;
  // Steps by sensitivity at scale 1.
  double base_step_ = 0;
  double least_scale_ = 1;
  std::vector<double> widest_steps_;  // [rows] below these a code would not fit
  std::vector<int8_t> row_offsets_, col_offsets_;
};

// All terms as one: the same sum of row weights times traces. A tied embedding has two.
SensitivityTerm combine_terms(const Sensitivity& sensitivity);

std::vector<float> hessian_diagonal(const SensitivityTerm& term, int64_t cols);

// Geometric mean of a tensor's steps over its weights; 0 when some are 0.
double mean_step(const QuantTensor& tensor);

}  // namespace pg
