#include "tests/simt/optimizer_check.h"

#include <algorithm>

#include "kernels/reduce.h"
#include "src/device/reference/reference_ops.h"
#include "tests/simt/launcher_check.h"

namespace pg::kerneltest {
namespace {

using Values = std::vector<double>;

constexpr float kClip = 0.37f, kMu = 0.95f, kBeta2 = 0.9f;

enum : uint64_t { kStreamA = 31, kStreamB, kStreamC, kStreamD };

MatrixBatch batch_of(const OptimizerCase& c) {
  const kernels::Matrices shape = c.shape();
  return {shape.count, shape.rows, shape.cols, shape.stride};
}

std::vector<float> draw(const OptimizerCase& c, uint64_t stream) {
  const kernels::Matrices shape = c.shape();
  std::vector<float> values = normal_values<float>(shape.count * shape.stride, 1.0, stream);
  for (size_t i = 0; i < values.size(); ++i) {
    if (static_cast<int64_t>(i) % shape.stride / shape.cols % 3 == 2) values[i] = 0.0f;
  }
  return values;
}

std::vector<float> draw_squares(int64_t count, uint64_t stream) {
  std::vector<float> values = normal_values<float>(count, 1.0, stream);
  for (float& value : values) value *= value;
  return values;
}

std::vector<float> coefficient_of(const OptimizerCase& c) {
  return {c.has_nan_coefficient ? NAN : kClip};
}

// Of one matrix, normalised: u uT on the smaller side, its almost-orthogonal scales, and it scaled.
struct Grams {
  double squares = 0.0;  // of the matrix as it is
  std::vector<float> gram;
  Values scales, scaled;

  Grams(const Values& u, const OptimizerCase& c) {
    const int64_t side = std::min(c.rows, c.cols), length = std::max(c.rows, c.cols);
    const auto vector = [&](int64_t i, int64_t at) {
      return u[static_cast<size_t>(c.rows > c.cols ? at * c.cols + i : i * c.cols + at)];
    };
    for (const double value : u) squares += value * value;
    for (int64_t i = 0; i < side; ++i) {
      double sizes = 0.0;
      for (int64_t j = 0; j < side; ++j) {
        double product = 0.0;
        for (int64_t at = 0; at < length; ++at) product += vector(i, at) * vector(j, at);
        gram.push_back(static_cast<float>(product / squares));
        sizes += std::abs(product / squares);
      }
      scales.push_back(1.0 / std::sqrt(std::max(sizes, 1e-14)));
    }
    for (size_t i = 0; i < gram.size(); ++i) {
      const auto n = static_cast<size_t>(side);
      scaled.push_back(scales[i / n] * scales[i % n] * as_double(gram[i]));
    }
  }
};

}  // namespace

std::string check_adamw(const AdamwFamily& family, const OptimizerCase& c) {
  const auto p = draw(c, kStreamA), m = draw(c, kStreamB), g = draw(c, kStreamC);
  const auto count = static_cast<int64_t>(p.size());
  const auto v = draw_squares(count, kStreamD), clip = coefficient_of(c);
  const std::vector<float> step = {0.01f, 0.9f, 0.95f, 1e-3f, 0.3f, 0.1f, 0.05f};
  Values want_p = as_doubles(p), want_m = as_doubles(m), want_v = as_doubles(v);
  ReferenceOps().adamw(out_of(want_p), out_of(want_m), out_of(want_v), in_of(g), in_of(clip),
                       in_of(step), c.flag, count);
  Outputs outputs;
  return for_each_schedule([&]() -> std::string {
    const DeviceArray<float> dp(p, c.offset), dm(m, c.offset), dv(v, c.offset), dg(g, c.offset);
    const DeviceArray<float> coefficient(clip), scalars(step);
    family.adamw(dp.data(), dm.data(), dv.data(), dg.data(), coefficient.data(), scalars.data(),
                 c.flag, count, nullptr);
    return first_error({outputs.check("p", dp, want_p, 0.1), outputs.check("m", dm, want_m, 1),
                        outputs.check("v", dv, want_v, 1)});
  });
}

std::string check_muon(const MuonFamily& family, const OptimizerCase& c) {
  const auto p = draw(c, kStreamD), u = normal_values<float>(std::ssize(p), 1.0, kStreamA);
  const auto m = draw(c, kStreamB), g = draw(c, kStreamC), clip = coefficient_of(c);
  const std::vector<float> mu = {kMu}, decay_step = {0.9f, 0.03f};
  Values want_u = as_doubles(u), want_m = as_doubles(m), want_p = as_doubles(p);
  ReferenceOps().muon_momentum(out_of(want_u), out_of(want_m), in_of(g), in_of(clip), in_of(mu),
                               c.flag, batch_of(c));
  ReferenceOps().apply_update(out_of(want_p), in_of(u), in_of(clip), in_of(decay_step), c.flag,
                              batch_of(c));
  Outputs outputs;
  return for_each_schedule([&]() -> std::string {
    const DeviceArray<float> dp(p, c.offset), du(u, c.offset), dm(m, c.offset), dg(g, c.offset);
    const DeviceArray<float> coefficient(clip), mu_scalar(mu), decay_scalars(decay_step);
    family.update(dp.data(), du.data(), coefficient.data(), decay_scalars.data(), c.flag, c.shape(),
                  nullptr);
    family.momentum({du.data(), false}, dm.data(), dg.data(), coefficient.data(), mu_scalar.data(),
                    c.flag, c.shape(), nullptr);
    return first_error({outputs.check("p", dp, want_p, 1), outputs.check("m", dm, want_m, 1),
                        outputs.check("u", du, want_u, 1)});
  });
}

std::string check_neurons(const NeuronsFamily& family, const OptimizerCase& c) {
  const kernels::Matrices shape = c.shape();
  const bool is_wide = c.cols > c.rows;
  const int64_t neurons = c.flag ? c.cols : c.rows, v_stride = neurons + 3;
  const auto u = draw(c, kStreamA), x = draw(c, kStreamB), clip = coefficient_of(c);
  std::vector<float> v = draw_squares(c.count * v_stride, kStreamC);
  if (v.size() > 2) v[2] = 0.0f;  // of the first row that is zero
  const auto d = draw_squares(c.count * std::max(c.rows, c.cols), kStreamD);
  const std::vector<float> beta2 = {kBeta2};
  const float rms = c.flag ? 0.0f : 0.2f, beta = 0.5f;
  Values want_u = as_doubles(u), want_v = as_doubles(v), want_d = as_doubles(d);
  Values want_y = as_doubles(u);
  ReferenceOps().normuon(out_of(want_u), out_of(want_v), in_of(clip), in_of(beta2), c.flag, rms,
                         batch_of(c), v_stride);
  ReferenceOps().balance_neurons(out_of(want_y), out_of(want_d), in_of(x), beta, c.flag,
                                 batch_of(c));
  const auto working = [&](int64_t count) { return static_cast<size_t>(count); };
  const size_t doubles = working(
      std::max(kernels::neuron_doubles(shape, c.flag), kernels::neuron_doubles(shape, is_wide)));
  Outputs outputs;
  return for_each_schedule([&]() -> std::string {
    const DeviceArray<float> du(u, c.offset), dy(u, c.offset), dx(x, c.offset), dv(v), dd(d);
    const DeviceArray<float> coefficient(clip), decay(beta2),
        factors(std::vector<float>(working(kernels::neuron_floats(shape, c.flag)), NAN));
    const DeviceArray<double> sums(std::vector<double>(doubles, NAN));
    family.normuon(du.data(), dv.data(), v_stride, coefficient.data(), decay.data(), c.flag, rms,
                   shape, sums.data(), factors.data(), nullptr);
    family.balance(dy.data(), dd.data(), dx.data(), beta, c.flag, shape, sums.data(), nullptr);
    return first_error({outputs.check("u", du, want_u, 1), outputs.check("v", dv, want_v, 1),
                        outputs.check("d", dd, want_d, 1), outputs.check("y", dy, want_y, 1),
                        sums.are_guards_intact() ? "" : "sums are written past their ends"});
  });
}

// The start and the end around no iteration: u is normalised and, with c.flag, scaled.
std::string check_newton_schulz(const NewtonSchulzFamily& family, const OptimizerCase& c) {
  const kernels::Matrices shape = c.shape();
  const auto u = draw(c, kStreamA);
  Values want_u = as_doubles(u);
  ReferenceOps().newton_schulz(
      out_of(want_u), {}, c.flag ? NewtonSchulzStart::kAol : NewtonSchulzStart::kNorm, batch_of(c));
  const int64_t side = std::min(c.rows, c.cols);
  const int64_t x_stride = (shape.size() + 7) / 8 * 8, gram_stride = side * side + 5;
  Values squares, want_scales, want_a;
  std::vector<float> gram;
  for (int64_t k = 0; k < c.count; ++k) {
    const auto begin = u.begin() + k * shape.stride;
    const Grams of_matrix(Values(begin, begin + shape.size()), c);
    // The pieces' sums are alike.
    const int64_t pieces = kernels::count_summed_pieces(shape.size());
    squares.insert(squares.end(), static_cast<size_t>(pieces),
                   of_matrix.squares / static_cast<double>(pieces));
    want_scales.insert(want_scales.end(), of_matrix.scales.begin(), of_matrix.scales.end());
    gram.insert(gram.end(), of_matrix.gram.begin(), of_matrix.gram.end());
    want_a.insert(want_a.end(), of_matrix.scaled.begin(), of_matrix.scaled.end());
    want_a.resize(static_cast<size_t>((k + 1) * gram_stride), 1.0);
  }
  Outputs outputs;
  return for_each_schedule([&]() -> std::string {
    const DeviceArray<float> du(u, c.offset), dgram(gram),
        scales(std::vector<float>(want_scales.size(), NAN));
    const DeviceArray<double> dsquares(squares);
    const DeviceArray<bf16> x(std::vector<bf16>(static_cast<size_t>(c.count * x_stride))),
        a(std::vector<bf16>(want_a.size(), bf16(1.0f)));
    family.sum(scales.data(), dgram.data(), c.count, side, nullptr);
    family.scale(a.data(), gram_stride, dgram.data(), scales.data(), c.count, side, nullptr);
    family.start(x.data(), x_stride, du.data(), dsquares.data(), c.flag ? scales.data() : nullptr,
                 shape, nullptr);
    family.end(du.data(), x.data(), x_stride, shape, nullptr);
    return first_error({outputs.check("scales", scales, want_scales, 0),
                        outputs.check("a", a, want_a, 1),
                        x.are_guards_intact() ? "" : "x is written past its ends",
                        outputs.check("u", du, want_u, 1, kRounding<bf16>)});
  });
}

}  // namespace pg::kerneltest
