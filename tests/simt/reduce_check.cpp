#include "tests/simt/reduce_check.h"

#include <algorithm>

#include "src/device/reference/reference_ops.h"
#include "tests/simt/launcher_check.h"

namespace pg::kerneltest {
namespace {

using Values = std::vector<double>;

enum : uint64_t { kStreamX = 51, kStreamPieces, kStreamLogits, kStreamPrior };

// sums[i] + sums[i + 1], then sums[i] + sums[i + 2], ...
double add_neighbours(Values sums) {
  const size_t count = sums.size();
  for (size_t width = 1; width < count; width *= 2) {
    for (size_t i = 0; i + width < count; i += 2 * width) sums[i] += sums[i + width];
  }
  return sums[0];
}

}  // namespace

std::string check_sums(const ReduceFamily& family, const SumCase& c) {
  const kernels::Matrices shape = {c.matrices, 1, c.elements, c.elements + c.gap};
  const int64_t pieces = kernels::count_summed_pieces(c.elements), sums_stride = pieces + 2;
  const auto x = normal_values<float>(c.matrices * shape.stride, 1.0, kStreamX);
  const Values prior(static_cast<size_t>(c.matrices * sums_stride), 7.0);
  Values want_squares = prior, want_values = prior;
  ReferenceOps().sum_squares(out_of(want_squares), in_of(x),
                             {shape.count, shape.rows, shape.cols, shape.stride}, sums_stride);
  for (int64_t k = 0; k < c.matrices; ++k) {
    for (int64_t piece = 0; piece < pieces; ++piece) {
      const auto from = x.begin() + k * shape.stride;
      const int64_t end = std::min((piece + 1) * kernels::kSummedPiece, c.elements);
      Values sum(1, 0.0);
      for (int64_t i = piece * kernels::kSummedPiece; i < end; ++i) sum[0] += as_double(from[i]);
      want_values[static_cast<size_t>(k * sums_stride + piece)] = sum[0];
    }
  }
  Outputs outputs;
  return for_each_schedule([&]() -> std::string {
    const DeviceArray<float> dx(x, c.offset);
    const DeviceArray<double> squares(prior), values(prior);
    family.squares(squares.data(), dx.data(), shape, sums_stride, nullptr);
    family.values(values.data(), dx.data(), shape, sums_stride, nullptr);
    // f64: 2^-40 leaves room for 2^13 additions
    return first_error({outputs.check("squares", squares, want_squares, 0, 0x1p-40),
                        outputs.check("values", values, want_values, 0x1p-10, 0x1p-40)});
  });
}

std::string check_tree(const ReduceFamily& family, int64_t count) {
  Values pieces;
  for (const float value : normal_values<float>(count, 1.0, kStreamPieces)) {
    // of many sizes, so that another order rounds otherwise
    pieces.push_back(
        std::ldexp(static_cast<double>(value) / 3.0, static_cast<int>(pieces.size() % 23)));
  }
  const Values want = {add_neighbours(pieces)}, want_added = {1.0 + 0.5 * want[0]};
  const auto same_bits = [](const char* name, const DeviceArray<double>& got,
                            const Values& wanted) {
    if (!got.are_guards_intact()) return std::string(name) + " is written past its ends";
    return got.fetch() == wanted ? "" : std::string(name) + " has other bits than the tree";
  };
  return for_each_schedule([&]() -> std::string {
    const DeviceArray<double> from(pieces), sum({NAN}), added({1.0});
    const DeviceArray<double> scratch(
        Values(static_cast<size_t>(kernels::sum_tree_scratch(count) + 1), NAN));
    family.tree({sum.data(), false}, from.data(), 1.0, scratch.data(), count, nullptr);
    family.tree({added.data(), true}, from.data(), 0.5, scratch.data(), count, nullptr);
    return first_error({same_bits("sum", sum, want), same_bits("added", added, want_added),
                        scratch.are_guards_intact() ? "" : "scratch is written past its ends"});
  });
}

std::string check_clip(const ReduceFamily& family) {
  const auto clip = [&](double squares, float max_norm) {
    const DeviceArray<double> from({squares});
    const DeviceArray<float> coefficient({7.0f});
    family.clip({coefficient.data(), false}, from.data(), max_norm, nullptr);
    return coefficient.fetch()[0];
  };
  if (std::abs(clip(4.0, 0.5f) - 0.25f) > 1e-6f)
    return "a large gradient is not clipped to the norm";
  if (clip(0.04, 0.5f) != 1.0f) return "a small gradient is scaled";
  if (clip(9.0, 0.0f) != 1.0f) return "a norm of 0 clips";
  for (const float max_norm : {0.0f, 1.0f}) {
    for (const double squares : {static_cast<double>(NAN), static_cast<double>(INFINITY)}) {
      if (!std::isnan(clip(squares, max_norm)))
        return "squares that are not finite give a coefficient";
    }
  }
  return "";
}

std::string check_log_probs(const LogProbsFamily& family, const LogProbsCase& c) {
  auto logits = normal_values<float>(c.rows * c.vocab, 4.0, kStreamLogits);
  for (float& z : logits) z += static_cast<float>(c.mean);
  const auto prior = normal_values<float>(c.rows * c.vocab, 1.0, kStreamPrior);
  Softcap cap = c.cap;
  cap.shift = c.shift;
  if (c.cap == 0) cap.width = 1;
  const Values side_values = {12.0, 20.0};
  if (c.has_sides) cap.sides = in_of(side_values);
  Values want(logits.size()), want_entropy(static_cast<size_t>(c.rows));
  ReferenceOps().softcap_log_probs(out_of(want), out_of(want_entropy), in_of(logits), cap, c.rows,
                                   c.vocab);
  for (size_t i = 0; c.accumulate && i < want.size(); ++i) want[i] += as_double(prior[i]);
  // tanh errs by a few units of the cap; c - max is rounded
  const double size = 1.0 + static_cast<double>(c.cap > 0 ? c.cap : std::abs(c.mean));
  Outputs outputs;
  return for_each_schedule([&]() -> std::string {
    const DeviceArray<float> z(logits, c.offset), log_probs(prior, c.offset);
    const DeviceArray<float> entropy(std::vector<float>(static_cast<size_t>(c.rows), NAN));
    const DeviceArray<float> sides({12.0f, 20.0f});
    family.log_probs({log_probs.data(), c.accumulate}, {entropy.data(), false}, z.data(), cap.cap,
                     cap.shift, cap.width, c.has_sides ? sides.data() : nullptr, c.rows, c.vocab,
                     nullptr);
    return first_error({outputs.check("log_probs", log_probs, want, size),
                        outputs.check("entropy", entropy, want_entropy, size)});
  });
}

}  // namespace pg::kerneltest
