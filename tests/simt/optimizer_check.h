// Checks implementations of the optimizer's kernels, the product's or a mutant's, against the
// reference device. Each function returns the first failure over all schedules, "" when there is
// none.
#pragma once
#include <string>

#include "kernels/adamw.h"
#include "kernels/muon.h"
#include "kernels/neurons.h"
#include "kernels/newton_schulz.h"

namespace pg::kerneltest {

struct AdamwFamily {
  decltype(&kernels::adamw) adamw;
};
struct MuonFamily {
  decltype(&kernels::muon_momentum) momentum;
  decltype(&kernels::apply_update) update;
};
struct NeuronsFamily {
  decltype(&kernels::normuon) normuon;
  decltype(&kernels::balance_neurons) balance;
};
struct NewtonSchulzFamily {
  decltype(&kernels::start_newton_schulz<bf16>) start;
  decltype(&kernels::sum_almost_orthogonal) sum;
  decltype(&kernels::scale_gram<bf16>) scale;
  decltype(&kernels::end_newton_schulz<bf16>) end;
};

// A batch with `gap` elements behind each matrix; tensors `offset` elements past 16-byte alignment.
// Every third row is zero.
struct OptimizerCase {
  int64_t count = 1, rows = 1, cols = 1, gap = 0;
  size_t offset = 0;
  bool flag = false;                 // cautious, row_norm, columns, is_first
  bool has_nan_coefficient = false;  // nothing may change
  kernels::Matrices shape() const { return {count, rows, cols, rows * cols + gap}; }
};

std::string check_adamw(const AdamwFamily& family, const OptimizerCase& c);
std::string check_muon(const MuonFamily& family, const OptimizerCase& c);
std::string check_neurons(const NeuronsFamily& family, const OptimizerCase& c);
std::string check_newton_schulz(const NewtonSchulzFamily& family, const OptimizerCase& c);

}  // namespace pg::kerneltest
