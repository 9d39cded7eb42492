// Checks implementations of the elementwise kernels, the product's or a mutant's, against loops in
// double.
#pragma once
#include <cstdint>
#include <string>

#include "kernels/add_scaled.h"
#include "kernels/blend.h"
#include "kernels/gated_mix.h"
#include "kernels/leaky_relu2.h"
#include "kernels/mix.h"
#include "kernels/swiglu.h"
#include "kernels/total_sums.h"

namespace pg::kerneltest {

template <class T>
struct AddScaledFamily {
  decltype(&kernels::add_scaled<T>) forward;
  decltype(&kernels::add_scaled_backward<T>) backward;
};
template <class T>
struct MixFamily {
  decltype(&kernels::mix<T>) forward;
  decltype(&kernels::mix_backward<T>) backward;
};
template <class T>
struct LeakyRelu2Family {
  decltype(&kernels::leaky_relu2<T>) forward;
  decltype(&kernels::leaky_relu2_backward<T>) backward;
};
template <class T>
struct SwigluFamily {
  decltype(&kernels::swiglu<T>) forward;
  decltype(&kernels::swiglu_backward<T>) backward;
};
template <class T>
struct GatedMixFamily {
  decltype(&kernels::gated_mix<T>) forward;
  decltype(&kernels::gated_mix_backward<T>) backward;
};
template <class T>
struct BlendFamily {
  decltype(&kernels::blend<T>) forward;
  decltype(&kernels::blend_backward<T>) backward;
};

struct TotalSumsFamily {
  decltype(&kernels::sum_totals) sum;
};

struct ElementwiseCase {
  int64_t rows = 1, dim = 1;
  int64_t gap = 0;  // elements between the rows of each matrix, to be left alone
  bool accumulate = false;
};

// First failure of forward and backward over all schedules, of aligned and of misaligned tensors: a
// value off, a gap or a guard overwritten, a schedule or an alignment that changes a bit, a launch
// that throws. "" when there is none.
template <class T>
std::string check_elementwise(const AddScaledFamily<T>& family, const ElementwiseCase& c);
template <class T>
std::string check_elementwise(const MixFamily<T>& family, const ElementwiseCase& c);
// Of rows * dim elements in one row.
template <class T>
std::string check_elementwise(const LeakyRelu2Family<T>& family, const ElementwiseCase& c);
template <class T>
std::string check_elementwise(const SwigluFamily<T>& family, const ElementwiseCase& c);
template <class T>
std::string check_elementwise(const GatedMixFamily<T>& family, const ElementwiseCase& c);
template <class T>
std::string check_elementwise(const BlendFamily<T>& family, const ElementwiseCase& c);

// Of two totals of several rounds of partial sums each.
std::string check_total_sums(const TotalSumsFamily& family);

}  // namespace pg::kerneltest
