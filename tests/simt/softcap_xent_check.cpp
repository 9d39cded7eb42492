#include "tests/simt/softcap_xent_check.h"

#include <algorithm>

#include "kernels/column_sums.h"
#include "tests/simt/kernel_harness.h"

namespace pg::kerneltest {
namespace {

constexpr float kLossScale = 0.25f;      // dloss
constexpr double kUnderflow = 0x1p-126;  // below the normal numbers a probability may be lost

enum : uint64_t { kStreamLogits = 11, kStreamTargets, kStreamWeights, kStreamPrior };

// Errors in f32, in units of 2^-24. A capped score: 4 cap (tanh's absolute error is a few units). A
// probability: its exponent's error, which __expf adds to in proportion to the exponent, up to 2
// cap; then 64 steps of summation.
double score_units(double cap) { return 4 * cap; }
double probability_units(double cap) { return 16 * cap + 64; }

struct ScoreGradient {
  double value, size, error;  // size: of the sums of absolute values
};

struct Problem {
  SoftcapXentCase shape;
  std::vector<float> logits, weights, lse, row_weights;
  std::vector<int32_t> targets;
  std::vector<double> c, slope, live_weight, live_size, target_sum;  // sizes: sums of |w|

  explicit Problem(const SoftcapXentCase& s) : shape(s) {
    logits = normal_values<float>(s.rows * s.vocab, 20.0, kStreamLogits);
    if (s.cap > 0) logits[0] = 1e30f;  // saturated
    // Every third row far below zero: a stray zero among its logits would outweigh them all.
    for (size_t i = 0; i < logits.size(); ++i) {
      if (i / static_cast<size_t>(s.vocab) % 3 == 1) logits[i] -= 3 * s.cap;
    }
    weights = normal_values<float>(s.targets, 1.0, kStreamWeights);
    const CounterRng rng(1, kStreamTargets);
    for (int64_t row = 0; row < s.rows; ++row) {
      for (int64_t i = 0; i < s.targets; ++i) targets.push_back(draw_target(rng, row, i));
    }
    for (int64_t row = 0; row < s.rows; ++row) {
      row_weights.push_back(s.has_row_weights ? 1.0f - 0.25f * static_cast<float>(row % 4) : 1.0f);
    }
    for (int64_t row = 0; row < s.rows; ++row) measure_row(row);
  }
  double divisor() const { return static_cast<double>(shape.width > 0 ? shape.width : shape.cap); }
  // A bound of |c|: that of the logits where there is no cap.
  double bound() const { return shape.cap > 0 ? static_cast<double>(shape.cap) : 100.0; }
  static double side(double z) { return static_cast<double>(kSides[z > 0 ? 0 : 1]); }
  double z_loss(size_t row) const {
    return live_weight[row] != 0 ? static_cast<double>(shape.z_loss) : 0.0;
  }
  kernels::XentForm form(const DeviceArray<float>& of_rows, const float* sides) const {
    return {shape.cap,
            shape.shift,
            static_cast<float>(divisor()),
            shape.z_loss,
            shape.has_row_weights ? of_rows.data() : nullptr,
            sides};
  }
  int32_t draw_target(const CounterRng& rng, int64_t row, int64_t i) const {
    if (row % 4 == 3) return -1;                               // nothing to learn here
    if (row % 4 == 1 && i % 2 == 1) return -5;                 // some skipped
    if (row % 4 == 2 && i > 0) return targets.back();          // all the same
    if (i == 0) return static_cast<int32_t>(shape.vocab - 1);  // the last column, in the tail
    return static_cast<int32_t>(rng.below(static_cast<uint64_t>(row * shape.targets + i),
                                          static_cast<uint64_t>(shape.vocab)));
  }
  void measure_row(int64_t row) {
    double cap = static_cast<double>(shape.cap), width = divisor();
    double sum = 0, weight = 0, size = 0, score = 0;
    const size_t first = c.size();
    for (int64_t i = row * shape.vocab; i < (row + 1) * shape.vocab; ++i) {
      const double z = static_cast<double>(logits[static_cast<size_t>(i)]);
      if (shape.has_sides) cap = width = side(z);
      const double t = std::tanh((z + static_cast<double>(shape.shift)) / width);
      c.push_back(cap == 0 ? z : cap * t);
      slope.push_back(cap == 0 ? 1.0 : cap / width * (1.0 - t * t));
    }
    const double top = *std::max_element(c.begin() + static_cast<int64_t>(first), c.end());
    for (size_t i = first; i < c.size(); ++i) sum += std::exp(c[i] - top);
    for (int64_t i = 0; i < shape.targets; ++i) {
      const int32_t target = targets[static_cast<size_t>(row * shape.targets + i)];
      if (target < 0) continue;
      const double w = static_cast<double>(weights[static_cast<size_t>(i)]);
      weight += w;
      size += std::abs(w);
      score += w * c[first + static_cast<size_t>(target)];
    }
    lse.push_back(static_cast<float>(top + std::log(sum)));
    live_weight.push_back(weight);
    live_size.push_back(size);
    target_sum.push_back(score);
  }
  // dL/dc of logit i, without dloss.
  ScoreGradient score_gradient(size_t i) const {
    const size_t row = i / static_cast<size_t>(shape.vocab);
    const auto column = static_cast<int32_t>(i % static_cast<size_t>(shape.vocab));
    const double probability = std::exp(c[i] - static_cast<double>(lse[row]));
    const double of_z = 2 * z_loss(row) * static_cast<double>(lse[row]);
    const double row_weight = static_cast<double>(row_weights[row]);
    double value = (row_weight * live_weight[row] + of_z) * probability;
    double size = (live_size[row] + std::abs(of_z)) * probability;
    for (size_t j = 0; j < weights.size(); ++j) {
      if (targets[row * weights.size() + j] != column) continue;
      value -= row_weight * static_cast<double>(weights[j]);
      size += std::abs(static_cast<double>(weights[j]));
    }
    const double steps = static_cast<double>(shape.targets) + probability_units(bound());
    return {value, size, size * kF32Rounding * steps};
  }
};

std::string check_forward(decltype(&kernels::softcap_xent) forward, const Problem& p) {
  const SoftcapXentCase& s = p.shape;
  const double cap = p.bound();
  std::vector<double> want_loss, bound_loss, want_lse, bound_lse;
  for (size_t row = 0; row < p.lse.size(); ++row) {
    const double lse = static_cast<double>(p.lse[row]);
    const double lse_error = kF32Rounding * (probability_units(cap) + 2 * std::abs(lse));
    const double steps = static_cast<double>(s.targets) + 8;
    want_lse.push_back(lse);
    bound_lse.push_back(lse_error);
    const double z_loss = p.z_loss(row), row_weight = static_cast<double>(p.row_weights[row]);
    want_loss.push_back(row_weight * (p.live_weight[row] * lse - p.target_sum[row]) +
                        z_loss * lse * lse);
    bound_loss.push_back(
        p.live_size[row] *
            (lse_error + kF32Rounding * (score_units(cap) + steps * (cap + std::abs(lse)))) +
        z_loss * std::abs(lse) * (2 * lse_error + 4 * kF32Rounding * std::abs(lse)));
  }
  SameBytes same;
  return for_each_schedule([&]() -> std::string {
    const DeviceArray<float> logits(p.logits, s.offset), weights(p.weights), rows(p.row_weights),
        sides({kSides[0], kSides[1]});
    const DeviceArray<int32_t> targets(p.targets);
    const DeviceArray<float> loss(std::vector<float>(p.lse.size(), NAN)), lse(loss.fetch());
    forward({loss.data(), false}, {lse.data(), false}, logits.data(), targets.data(),
            weights.data(), p.form(rows, s.has_sides ? sides.data() : nullptr), s.rows, s.vocab,
            s.targets, nullptr);
    if (!loss.are_guards_intact() || !lse.are_guards_intact()) return "writes outside its outputs";
    const std::vector<float> got_loss = loss.fetch(), got_lse = lse.fetch();
    std::string error = compare("lse", got_lse, want_lse, bound_lse);
    if (error.empty()) error = compare("loss", got_loss, want_loss, bound_loss);
    if (error.empty()) error = same.check("lse", got_lse);
    if (error.empty()) error = same.check("loss", got_loss);
    return error;
  });
}

template <class T>
std::string check_backward(decltype(&kernels::softcap_xent_backward<T>) backward,
                           const Problem& p) {
  const SoftcapXentCase& s = p.shape;
  const double scale = static_cast<double>(kLossScale);
  const auto prior = normal_values<T>(s.rows * s.vocab, 0.01, kStreamPrior);
  std::vector<double> want, bound;
  for (size_t i = 0; i < p.c.size(); ++i) {
    const ScoreGradient dc = p.score_gradient(i);
    const double error = scale * dc.error + kUnderflow;
    const double stored =
        scale * dc.value * p.slope[i] + (s.accumulate ? as_double(prior[i]) : 0.0);
    want.push_back(stored);
    bound.push_back(error + kRounding<T> * (std::abs(stored) + error));
  }
  SameBytes same;
  return for_each_schedule([&]() -> std::string {
    const DeviceArray<float> logits(p.logits), weights(p.weights), lse(p.lse), rows(p.row_weights),
        sides({kSides[0], kSides[1]});
    const DeviceArray<float> dloss(std::vector<float>{kLossScale});
    const DeviceArray<int32_t> targets(p.targets);
    const DeviceArray<T> dlogits(prior, s.offset);
    backward({dlogits.data(), s.accumulate}, logits.data(), lse.data(), targets.data(),
             weights.data(), dloss.data(), p.form(rows, s.has_sides ? sides.data() : nullptr),
             s.rows, s.vocab, s.targets, nullptr);
    if (!dlogits.are_guards_intact()) return "writes outside its outputs";
    const std::vector<T> got = dlogits.fetch();
    const std::string error = compare("dlogits", got, want, bound);
    return error.empty() ? same.check("dlogits", got) : error;
  });
}

// The sums over a side's logits of dc (t - z/s (1 - t^2)), |t - ...| <= 1 and wrong by 16 units at most:
// those of t, and of an exponent that counts where the slope is not lost. A thread adds up its columns
// of a chunk's rows, then come warps, blocks and chunks.
std::string check_sides(decltype(&kernels::softcap_xent_sides_backward) backward,
                        const Problem& p) {
  const SoftcapXentCase& s = p.shape;
  const double scale = static_cast<double>(kLossScale);
  const std::vector<float> prior = {0.5f, -0.25f};
  std::vector<double> want(2), bound(2);
  for (size_t i = 0; i < p.c.size(); ++i) {
    const double z = static_cast<double>(p.logits[i]), side = Problem::side(z);
    const ScoreGradient dc = p.score_gradient(i);
    const double of_side = p.c[i] / side - z / side * p.slope[i];
    const size_t k = z > 0 ? 0 : 1;
    want[k] += scale * dc.value * of_side;
    const double steps = 16.0 + static_cast<double>(p.logits.size()) / 256.0 + 64.0;
    bound[k] += scale * (dc.error + dc.size * kF32Rounding * steps);
  }
  for (size_t k = 0; s.accumulate && k < 2; ++k) want[k] += as_double(prior[k]);
  for (size_t k = 0; k < 2; ++k) bound[k] += kUnderflow + kF32Rounding * std::abs(want[k]);
  SameBytes same;
  return for_each_schedule([&]() -> std::string {
    const DeviceArray<float> logits(p.logits, s.offset), weights(p.weights), lse(p.lse),
        rows(p.row_weights), sides({kSides[0], kSides[1]}), dloss({kLossScale}), dsides(prior);
    const DeviceArray<float> partial(
        std::vector<float>(static_cast<size_t>(2 * kernels::count_row_chunks(s.rows)), NAN));
    const DeviceArray<int32_t> targets(p.targets);
    backward({dsides.data(), s.accumulate}, logits.data(), lse.data(), targets.data(),
             weights.data(), dloss.data(), p.form(rows, sides.data()), s.rows, s.vocab, s.targets,
             partial.data(), nullptr);
    if (!dsides.are_guards_intact() || !partial.are_guards_intact()) {
      return "writes outside its outputs";
    }
    const std::string error = compare("dsides", dsides.fetch(), want, bound);
    return error.empty() ? same.check("dsides", dsides.fetch()) : error;
  });
}

}  // namespace

std::string check_softcap_xent(const SoftcapXentFamily& family, const SoftcapXentCase& shape) {
  const Problem problem(shape);
  std::string error = check_forward(family.forward, problem);
  if (!error.empty()) return "forward: " + error;
  error = check_backward<float>(family.backward_f32, problem);
  if (!error.empty()) return "f32 backward: " + error;
  error = check_backward<bf16>(family.backward_bf16, problem);
  if (!error.empty()) return "bf16 backward: " + error;
  if (shape.has_sides) error = check_sides(family.sides_backward, problem);
  return error.empty() ? "" : "sides: " + error;
}

}  // namespace pg::kerneltest
