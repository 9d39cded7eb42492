// Cases of elementwise ops, the smear gate, casts and reductions.
#include <cmath>

#include "tests/ops/op_case.h"
#include "tests/ops/tolerance.h"

namespace pg::optest {
namespace {

OpCase add_scaled_case(int64_t rows, int64_t dim) {
  const int64_t count = rows * dim;
  return {OpId::kAddScaled,
          describe({{"rows", rows}, {"dim", dim}}),
          {input("x", count, normal()), input("z", count, normal()),
           input_f32("s1", 1, fixed({-1.3})), input_f32("s2", 1, fixed({0.7})),
           // s1 s2, times z, plus x
           output("y", count, units_of_terms("y", 3))},
          [=](Ops& ops, const Args& a) {
            ops.add_scaled(a.out("y"), a.in("x"), a.in("z"), a.in("s1"), a.in("s2"), rows, dim);
          },
          {{"y"}, {"x", "z", "s1", "s2"}, [=](Ops& ops, const Args& a) {
             ops.add_scaled_backward(a.out("dx"), a.out("dz"), a.out("ds1"), a.out("ds2"),
                                     a.in("dy"), a.in("z"), a.in("s1"), a.in("s2"), rows, dim);
           }}};
}

OpCase add_scaled_backward_case(int64_t rows, int64_t dim) {
  const int64_t count = rows * dim;
  const double sum_k = sum_units(count) + 2;  // the product of each term, the scale
  return {OpId::kAddScaledBackward,
          describe({{"rows", rows}, {"dim", dim}}),
          {input("dy", count, normal()), input("z", count, normal()),
           input_f32("s1", 1, fixed({-1.3})), input_f32("s2", 1, fixed({0.7})),
           output("dx", count, exact(count)), output("dz", count, units_of_terms("dz", 2)),
           output_f32("ds1", 1, units_of_terms("ds1", sum_k)),
           output_f32("ds2", 1, units_of_terms("ds2", sum_k))},
          [=](Ops& ops, const Args& a) {
            ops.add_scaled_backward(a.out("dx"), a.out("dz"), a.out("ds1"), a.out("ds2"),
                                    a.in("dy"), a.in("z"), a.in("s1"), a.in("s2"), rows, dim);
          }};
}

OpCase mix_case(int64_t rows, int64_t dim) {
  return {OpId::kMix,
          describe({{"rows", rows}, {"dim", dim}}),
          {input("x", rows * dim, normal()), input_f32("a", dim, normal()),
           input("z", rows * dim, normal()), input_f32("b", dim, normal()),
           // two products, one sum
           output("y", rows * dim, units_of_terms("y", 2))},
          [=](Ops& ops, const Args& a) {
            ops.mix(a.out("y"), a.in("x"), a.in("a"), a.in("z"), a.in("b"), rows, dim);
          },
          {{"y"}, {"x", "a", "z", "b"}, [=](Ops& ops, const Args& a) {
             ops.mix_backward(a.out("dx"), a.out("dz"), a.out("da"), a.out("db"), a.in("dy"),
                              a.in("x"), a.in("a"), a.in("z"), a.in("b"), rows, dim);
           }}};
}

OpCase mix_backward_case(int64_t rows, int64_t dim) {
  return {OpId::kMixBackward,
          describe({{"rows", rows}, {"dim", dim}}),
          {input("dy", rows * dim, normal()), input("x", rows * dim, normal()),
           input_f32("a", dim, normal()), input("z", rows * dim, normal()),
           input_f32("b", dim, normal()), output("dx", rows * dim, units_of_terms("dx", 1)),
           output("dz", rows * dim, units_of_terms("dz", 1)),
           output_f32("da", dim, units_of_terms("da", sum_units(rows) + 1)),
           output_f32("db", dim, units_of_terms("db", sum_units(rows) + 1))},
          [=](Ops& ops, const Args& a) {
            ops.mix_backward(a.out("dx"), a.out("dz"), a.out("da"), a.out("db"), a.in("dy"),
                             a.in("x"), a.in("a"), a.in("z"), a.in("b"), rows, dim);
          }};
}

OpCase leaky_relu2_case(int64_t count, float slope) {
  return {OpId::kLeakyRelu2,
          describe({{"count", count}}) + " slope=" + std::to_string(slope),
          {input("x", count, normal_away_from_zero()),
           // slope x (twice into the square), the square
           output("y", count, units_of_result("y", 3))},
          [=](Ops& ops, const Args& a) { ops.leaky_relu2(a.out("y"), a.in("x"), slope, count); },
          {{"y"}, {"x"}, [=](Ops& ops, const Args& a) {
             ops.leaky_relu2_backward(a.out("dx"), a.in("dy"), a.in("x"), slope, count);
           }}};
}

OpCase leaky_relu2_backward_case(int64_t count, float slope) {
  return {OpId::kLeakyRelu2Backward,
          describe({{"count", count}}) + " slope=" + std::to_string(slope),
          {input("dy", count, normal()), input("x", count, normal_with_zero_rows(5)),
           // slope^2, times x, times dy (2 is exact)
           output("dx", count, units_of_result("dx", 3))},
          [=](Ops& ops, const Args& a) {
            ops.leaky_relu2_backward(a.out("dx"), a.in("dy"), a.in("x"), slope, count);
          }};
}

OpCase mean_bags_case(int64_t rows, int64_t bag, int64_t dim) {
  return {OpId::kMeanBags,
          describe({{"rows", rows}, {"bag", bag}, {"dim", dim}}),
          {input("x", rows * bag * dim, normal()),
           // a sum of `bag`, the quotient
           output("y", rows * dim, units_of_terms("y", sum_units(bag) + 1))},
          [=](Ops& ops, const Args& a) { ops.mean_bags(a.out("y"), a.in("x"), rows, bag, dim); },
          {{"y"}, {"x"}, [=](Ops& ops, const Args& a) {
             ops.mean_bags_backward(a.out("dx"), a.in("dy"), rows, bag, dim);
           }}};
}

OpCase mean_bags_backward_case(int64_t rows, int64_t bag, int64_t dim) {
  return {
      OpId::kMeanBagsBackward,
      describe({{"rows", rows}, {"bag", bag}, {"dim", dim}}),
      {input("dy", rows * dim, normal()), output("dx", rows * bag * dim, units_of_result("dx", 1))},
      [=](Ops& ops, const Args& a) {
        ops.mean_bags_backward(a.out("dx"), a.in("dy"), rows, bag, dim);
      }};
}

// g = 1 / (1 + e^-gate): exp, the sum and the quotient round; 1 - g once more, relative to 1 and
// not to itself.
constexpr double kSigmoidUnits = kExpUnits + 2;
constexpr double kSmearUnits = kSigmoidUnits + 1 + 2;  // and a product and a sum

// kSmearUnits of |x_t| + |x_{t+step}| where both lie in one row of T tokens
ErrorBound smear_error(const char* name, int64_t rows, int64_t tokens, int64_t dim, int64_t step,
                       int64_t first = 0) {
  return [=](const Problem& p) {
    Values sizes(static_cast<size_t>(rows * dim));
    const auto size_at = [&](int64_t row, int64_t d) {  // with `first`, one row lies in front
      return std::abs(p.in(name)[static_cast<size_t>((row + (first > 0 ? 1 : 0)) * dim + d)]);
    };
    for (int64_t i = 0; i < rows * dim; ++i) {
      const int64_t row = i / dim, t = (first + row) % tokens;
      const bool has_neighbour = t + step >= 0 && t + step < tokens;
      sizes[static_cast<size_t>(i)] =
          size_at(row, i % dim) + (has_neighbour ? size_at(row + step, i % dim) : 0.0);
    }
    return units_of(kSmearUnits, sizes);
  };
}

// dgate = g (1-g) sum of dy_t (x_{t-1} - x_t): the sum loses sum_units and a difference and a
// product a term; the factor g (1-g) errs by kSigmoidUnits of g twice (in g, and absolutely in 1-g)
// and two roundings.
ErrorBound smear_dgate_error(int64_t rows, int64_t tokens, int64_t dim) {
  return [=](const Problem& p) {
    Values sums(static_cast<size_t>(dim), 0.0), bound(static_cast<size_t>(dim));
    for (int64_t i = 0; i < rows * dim; ++i) {
      const bool is_first = i / dim % tokens == 0;
      const double previous = is_first ? 0.0 : p.in("x")[static_cast<size_t>(i - dim)];
      sums[static_cast<size_t>(i % dim)] +=
          std::abs(p.in("dy")[static_cast<size_t>(i)]) *
          (std::abs(previous) + std::abs(p.in("x")[static_cast<size_t>(i)]));
    }
    for (size_t d = 0; d < bound.size(); ++d) {
      const double g = 1.0 / (1.0 + std::exp(-p.in("gate")[d]));
      bound[d] = kUnitF32 * sums[d] *
                 (g * (1.0 - g) * (sum_units(rows) + 2) + g * (2 * kSigmoidUnits + 2));
    }
    return bound;
  };
}

// Of the rows [first, first + rows) of sequences.
OpCase smear_rows_case(int64_t rows, int64_t tokens, int64_t dim, int64_t first) {
  const int64_t front = first > 0 ? dim : 0;  // elements of the row before them
  return {OpId::kSmear,
          describe({{"rows", rows}, {"tokens", tokens}, {"dim", dim}}) + describe_first(first),
          {input("x", front + rows * dim, normal()), input_f32("gate", dim, normal(2.0)),
           output("y", rows * dim, smear_error("x", rows, tokens, dim, -1, first))},
          [=](Ops& ops, const Args& a) {
            ops.smear(a.out("y"), without_front(a.in("x"), front), a.in("gate"), rows, tokens, dim,
                      first);
          }};
}

OpCase smear_case(int64_t batch, int64_t tokens, int64_t dim) {
  const int64_t rows = batch * tokens;
  return {OpId::kSmear,
          describe({{"batch", batch}, {"tokens", tokens}, {"dim", dim}}),
          {input("x", rows * dim, normal()), input_f32("gate", dim, normal(2.0)),
           output("y", rows * dim, smear_error("x", rows, tokens, dim, -1))},
          [=](Ops& ops, const Args& a) {
            ops.smear(a.out("y"), a.in("x"), a.in("gate"), rows, tokens, dim, 0);
          },
          {{"y"}, {"x", "gate"}, [=](Ops& ops, const Args& a) {
             ops.smear_backward(a.out("dx"), a.out("dgate"), a.in("dy"), a.in("x"), a.in("gate"),
                                rows, tokens, dim);
           }}};
}

OpCase smear_backward_case(int64_t batch, int64_t tokens, int64_t dim) {
  const int64_t rows = batch * tokens;
  return {OpId::kSmearBackward,
          describe({{"batch", batch}, {"tokens", tokens}, {"dim", dim}}),
          {input("dy", rows * dim, normal()), input("x", rows * dim, normal()),
           input_f32("gate", dim, normal(2.0)),
           output("dx", rows * dim, smear_error("dy", rows, tokens, dim, 1)),
           output_f32("dgate", dim, smear_dgate_error(rows, tokens, dim))},
          [=](Ops& ops, const Args& a) {
            ops.smear_backward(a.out("dx"), a.out("dgate"), a.in("dy"), a.in("x"), a.in("gate"),
                               rows, tokens, dim);
          }};
}

OpCase cast_case(int64_t count, Kind from, Kind to) {
  return {
      OpId::kCast,
      describe({{"count", count}}) + (from == Kind::kF32 ? " from f32" : " to f32"),
      {{"x", Role::kIn, from, count, normal(), {}}, {"y", Role::kOut, to, count, {}, exact(count)}},
      [=](Ops& ops, const Args& a) { ops.cast(a.out("y"), a.in("x"), count); }};
}

// Sums are accumulated in f64: their error is that of n additions there.
ErrorBound f64_sum_error(const char* output, int64_t count) {
  return [=](const Problem& p) {
    return Values{static_cast<double>(count + 1) * kUnitF64 * p.magnitude(output)[0]};
  };
}

OpCase sum_case(int64_t count, double scale) {
  return {OpId::kSum,
          describe({{"count", count}}),
          {input_f32("x", count, normal()),
           {"sum", Role::kOut, Kind::kF64, 1, {}, f64_sum_error("sum", count)}},
          [=](Ops& ops, const Args& a) { ops.sum(a.out("sum"), a.in("x"), scale, count); }};
}

OpCase sum_squares_case(const MatrixBatch& shape, int64_t sums_stride) {
  const int64_t sums = shape.count * sums_stride;
  const ErrorBound error = [=](const Problem& p) {
    Values errors(static_cast<size_t>(sums), 0.0);  // between the matrices' sums nothing changes
    for (int64_t i = 0; i < sums; ++i) {
      if (i % sums_stride >= count_sum_pieces(shape.size())) continue;
      const auto at = static_cast<size_t>(i);
      errors[at] = static_cast<double>(kSumPiece + 1) * kUnitF64 * p.want("sums")[at];
    }
    return errors;
  };
  return {OpId::kSumSquares,
          describe({{"count", shape.count}, {"rows", shape.rows}, {"cols", shape.cols}}),
          {input_f32("x", shape.count * shape.stride, normal()),
           {"sums", Role::kInOut, Kind::kF64, sums, normal(), error}},
          [=](Ops& ops, const Args& a) {
            ops.sum_squares(a.out("sums"), a.in("x"), shape, sums_stride);
          }};
}

OpCase sum_pieces_case(int64_t count) {
  return {OpId::kSumPieces,
          describe({{"count", count}}),
          {{"pieces", Role::kIn, Kind::kF64, count, normal(), {}},
           {"sum", Role::kOut, Kind::kF64, 1, {}, f64_sum_error("sum", count)}},
          [=](Ops& ops, const Args& a) { ops.sum_pieces(a.out("sum"), a.in("pieces"), count); }};
}

}  // namespace

std::vector<OpCase> elementwise_cases() {
  std::vector<OpCase> cases;
  // One, around a vector's width, and more than one chunk of 64 Ki.
  for (const int64_t count : {1, 2, 31, 32, 33, 1000, 66003}) {
    cases.push_back(leaky_relu2_case(count, 0.5f));
    cases.push_back(leaky_relu2_backward_case(count, 0.5f));
    cases.push_back(cast_case(count, Kind::kF32, Kind::kActivation));
    cases.push_back(cast_case(count, Kind::kActivation, Kind::kF32));
    cases.push_back(sum_case(count, 1.0 / 3.0));
    cases.push_back(sum_squares_case({1, 1, count, count}, count_sum_pieces(count)));
    cases.push_back(sum_pieces_case(count));
  }
  cases.push_back(cast_case(5003, Kind::kF32, Kind::kActivation));
  cases.push_back(cast_case(5003, Kind::kActivation, Kind::kF32));
  cases.push_back(sum_squares_case({3, 5, 7, 41}, 2));
  cases.push_back(sum_squares_case({2, 130, 256, 130 * 256 + 32}, 5));
  // One, around a vector's width, and chunks that end within a row.
  const int64_t scaled[][2] = {{1, 1},  {2, 1},    {1, 31},    {1, 32},   {3, 11},
                               {1, 33}, {10, 100}, {1, 66003}, {517, 129}};
  for (const auto& [rows, dim] : scaled) {
    cases.push_back(add_scaled_case(rows, dim));
    cases.push_back(add_scaled_backward_case(rows, dim));
    cases.push_back(with_views(add_scaled_case(rows, dim), {{"x", dim}}));
    cases.push_back(with_views(add_scaled_backward_case(rows, dim), {{"dx", dim}}));
  }
  cases.push_back(without(add_scaled_case(3, 11), {"s2"}));
  cases.push_back(without(add_scaled_backward_case(3, 11), {"s2", "ds2"}));
  cases.push_back(leaky_relu2_case(100, 0.0f));
  cases.push_back(leaky_relu2_backward_case(100, 0.0f));
  const int64_t bags[][3] = {{1, 1, 1},  {5, 1, 33},   {3, 2, 31},
                             {7, 3, 64}, {515, 6, 48}, {2, 16, 1000}};
  for (const auto& [rows, bag, dim] : bags) {
    cases.push_back(mean_bags_case(rows, bag, dim));
    cases.push_back(mean_bags_backward_case(rows, bag, dim));
  }

  const int64_t shapes[][2] = {{1, 1}, {2, 3}, {31, 33}, {3, 64}, {515, 48}, {67, 1000}};
  for (const auto& [rows, dim] : shapes) {
    cases.push_back(mix_case(rows, dim));
    cases.push_back(mix_backward_case(rows, dim));
  }
  for (const auto& [rows, dim] : {std::pair<int64_t, int64_t>{5, 7}, {33, 65}}) {
    cases.push_back(without(mix_case(rows, dim), {"a"}));
    cases.push_back(without(mix_case(rows, dim), {"b"}));
    cases.push_back(without(mix_backward_case(rows, dim), {"a", "da"}));
    cases.push_back(without(mix_backward_case(rows, dim), {"b", "db"}));
  }
  cases.push_back(without(mix_case(33, 65), {"a", "b"}));
  cases.push_back(without(mix_case(33, 65), {"z", "b"}));
  cases.push_back(without(mix_backward_case(33, 65), {"z", "b", "dz", "db"}));

  const int64_t sequences[][3] = {{1, 1, 1},   {3, 1, 5},    {2, 2, 3},
                                  {2, 33, 31}, {5, 103, 64}, {1, 257, 17}};
  for (const auto& [batch, tokens, dim] : sequences) {
    cases.push_back(smear_case(batch, tokens, dim));
    cases.push_back(smear_backward_case(batch, tokens, dim));
  }
  for (const int64_t first : {1, 32, 33, 40}) {  // within a sequence, at its end, of the next one
    cases.push_back(smear_rows_case(1, 33, 31, first));
    cases.push_back(smear_rows_case(70, 33, 31, first));
  }
  return cases;
}

std::vector<OpCase> elementwise_record_cases() {
  constexpr int64_t kRows = 2048, kDim = 512, kHidden = 1536, kParams = int64_t{1} << 20;
  return {add_scaled_case(kRows, kDim),
          add_scaled_backward_case(kRows, kDim),
          mix_case(kRows, kDim),
          mix_backward_case(kRows, kDim),
          leaky_relu2_case(512 * kHidden, 0.5f),
          leaky_relu2_backward_case(512 * kHidden, 0.5f),
          smear_case(2, kRows / 2, kDim),
          smear_backward_case(2, kRows / 2, kDim),
          cast_case(kParams, Kind::kF32, Kind::kActivation),
          sum_squares_case({1, 1, kParams, kParams}, count_sum_pieces(kParams))};
}

}  // namespace pg::optest
