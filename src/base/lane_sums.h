// Sums over loops that compilers vectorise, with the same bits everywhere: a sum has one order,
// whatever vectors a compiler has.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

namespace pg {

// Element i goes to lane i % 32, then the upper half of the lanes joins the lower until one is left.
inline constexpr int64_t kSumLanes = 32;

template <class F>
struct FourOf;
template <>
struct FourOf<float> {
  using Type = float __attribute__((vector_size(16)));
};
template <>
struct FourOf<double> {
  using Type = double __attribute__((vector_size(32)));
};

template <class F>
F sum_lanes(const F (&lanes)[kSumLanes]) {
  using Four = typename FourOf<F>::Type;
  Four four[kSumLanes / 4];
  std::memcpy(four, lanes, sizeof four);
  for (int64_t half = kSumLanes / 8; half > 0; half /= 2) {
    for (int64_t i = 0; i < half; ++i) four[i] += four[i + half];
  }
  const Four sum = four[0];
  return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

// The sum of what body(i, lanes, lane) adds to lanes[lane] for i in [0, count).
template <class F, class Count, class Body>
F sum_in_lanes(Count count, Body body) {
  F lanes[kSumLanes] = {};
  const int64_t whole = count / kSumLanes * kSumLanes;
  for (int64_t i = 0; i < whole; i += kSumLanes) {
#pragma omp simd
    for (int64_t lane = 0; lane < kSumLanes; ++lane) body(i + lane, lanes, lane);
  }
  for (int64_t lane = 0; lane < count - whole; ++lane) body(whole + lane, lanes, lane);
  return sum_lanes(lanes);
}

// The sum of value(i) for i in [0, count).
template <class F = float, class Count, class Value>
F sum_loop(Count count, Value value) {
  return sum_in_lanes<F>(count,
                         [value](int64_t i, F* lanes, int64_t lane) { lanes[lane] += value(i); });
}

// The sum of a(i) b(i) for i in [0, count), a fused multiply-add a term.
template <class F = float, class Count, class A, class B>
F sum_products(Count count, A a, B b) {
  return sum_in_lanes<F>(count, [a, b](int64_t i, F* lanes, int64_t lane) {
    lanes[lane] = std::fma(a(i), b(i), lanes[lane]);
  });
}

}  // namespace pg
