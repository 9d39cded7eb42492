// Floating-point instructions; PTX ISA 9.0, 9.7.3. Approximate ones are as accurate as libm here; a
// GPU's differ by some units in the last place, which the tolerances of all tests allow for.
#include <bit>
#include <cfenv>
#include <cmath>
#include <limits>
#include <string>

#include "tests/simt/ptx/ptx_operations.h"
#include "tests/simt/ptx/ptx_thread.h"

namespace pg::ptx {
namespace {

// clang-format off
struct Add { template <class T> T operator()(T a, T b) const { return a + b; } };
struct Sub { template <class T> T operator()(T a, T b) const { return a - b; } };
struct Mul { template <class T> T operator()(T a, T b) const { return a * b; } };
struct Div { template <class T> T operator()(T a, T b) const { return a / b; } };
// The one that is a number, where one is.
struct Min { template <class T> T operator()(T a, T b) const { return std::fmin(a, b); } };
struct Max { template <class T> T operator()(T a, T b) const { return std::fmax(a, b); } };
// copysign d, a, b: the sign of a, the size of b.
struct CopySign { template <class T> T operator()(T a, T b) const { return std::copysign(b, a); } };
struct Neg { template <class T> T operator()(T a) const { return -a; } };
struct Abs { template <class T> T operator()(T a) const { return std::fabs(a); } };
struct Sqrt { template <class T> T operator()(T a) const { return std::sqrt(a); } };
struct Rcp { template <class T> T operator()(T a) const { return T{1} / a; } };
struct Rsqrt { template <class T> T operator()(T a) const { return T{1} / std::sqrt(a); } };
struct Exp2 { template <class T> T operator()(T a) const { return std::exp2(a); } };
struct Log2 { template <class T> T operator()(T a) const { return std::log2(a); } };
// clang-format on

float flush(float value) {
  return std::fabs(value) < std::numeric_limits<float>::min() ? std::copysign(0.0f, value) : value;
}
// With subnormal operands and results as zeros.
template <class F>
struct Flushed {
  float operator()(float a) const { return flush(F()(flush(a))); }
};

template <class T, class F>
void unary(Thread& t, const Instruction& i) {
  t.set<T>(i, 0, F()(t.get<T>(i, 1)));
}
template <class T, class F>
void binary(Thread& t, const Instruction& i) {
  t.set<T>(i, 0, F()(t.get<T>(i, 1), t.get<T>(i, 2)));
}
template <class T>
void fused(Thread& t, const Instruction& i) {
  t.set<T>(i, 0, std::fma(t.get<T>(i, 1), t.get<T>(i, 2), t.get<T>(i, 3)));
}

// Rounded down. The operands must not be known before the mode is set, nor the result after.
void fused_down(Thread& t, const Instruction& i) {
  const int mode = std::fegetround();
  std::fesetround(FE_DOWNWARD);
  volatile float a = t.get<float>(i, 1), b = t.get<float>(i, 2), c = t.get<float>(i, 3);
  volatile float result = std::fma(a, b, c);
  std::fesetround(mode);
  t.set<float>(i, 0, result);
}

// rcp.approx.ftz.f64: the upper word of 1/a alone.
void reciprocal_upper_word(Thread& t, const Instruction& i) {
  const uint64_t bits = std::bit_cast<uint64_t>(1.0 / t.get<double>(i, 1));
  t.set<uint64_t>(i, 0, bits >> 32 << 32);
}

enum class Order : uint8_t { kEqual, kNotEqual, kLess, kAtMost, kGreater, kAtLeast };
template <class T>
bool holds(Order order, T a, T b) {
  switch (order) {
    case Order::kEqual:
      return a == b;
    case Order::kNotEqual:
      return a < b || a > b;
    case Order::kLess:
      return a < b;
    case Order::kAtMost:
      return a <= b;
    case Order::kGreater:
      return a > b;
    case Order::kAtLeast:
      return a >= b;
  }
  return false;
}
// kWithNaN: true where one of both is no number.
template <class T, Order kOrder, bool kWithNaN>
void compare(Thread& t, const Instruction& i) {
  const T a = t.get<T>(i, 1), b = t.get<T>(i, 2);
  t.set<bool>(i, 0, std::isunordered(a, b) ? kWithNaN : holds(kOrder, a, b));
}
template <class T, bool kIsNaN>
void compare_kinds(Thread& t, const Instruction& i) {
  t.set<bool>(i, 0, std::isunordered(t.get<T>(i, 1), t.get<T>(i, 2)) == kIsNaN);
}

template <class T, Order kOrder>
void add_comparison(Operations& ops, const std::string& name, const std::string& type) {
  ops["setp." + name + '.' + type + " rrr"] = compare<T, kOrder, false>;
  ops["setp." + name + "u." + type + " rrr"] = compare<T, kOrder, true>;
}

template <class T>
void select(Thread& t, const Instruction& i) {
  t.set<T>(i, 0, t.get<bool>(i, 3) ? t.get<T>(i, 1) : t.get<T>(i, 2));
}
template <class T>
void move(Thread& t, const Instruction& i) {
  t.set<T>(i, 0, t.get<T>(i, 1));
}

template <class T>
void add_of_type(Operations& ops, const std::string& type) {
  for (const char* rounding : {".", ".rn."}) {
    ops[std::string("add") + rounding + type + " rrr"] = binary<T, Add>;
    ops[std::string("sub") + rounding + type + " rrr"] = binary<T, Sub>;
    ops[std::string("mul") + rounding + type + " rrr"] = binary<T, Mul>;
  }
  ops["fma.rn." + type + " rrrr"] = fused<T>;
  ops["div.rn." + type + " rrr"] = binary<T, Div>;
  ops["rcp.rn." + type + " rr"] = unary<T, Rcp>;
  ops["sqrt.rn." + type + " rr"] = unary<T, Sqrt>;
  ops["min." + type + " rrr"] = binary<T, Min>;
  ops["max." + type + " rrr"] = binary<T, Max>;
  ops["neg." + type + " rr"] = unary<T, Neg>;
  ops["abs." + type + " rr"] = unary<T, Abs>;
  ops["copysign." + type + " rrr"] = binary<T, CopySign>;
  // Bit patterns of integers here, so that a signalling NaN stays one.
  using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  ops["selp." + type + " rrrr"] = select<Bits>;
  ops["mov." + type + " rr"] = move<Bits>;
  add_comparison<T, Order::kEqual>(ops, "eq", type);
  add_comparison<T, Order::kNotEqual>(ops, "ne", type);
  add_comparison<T, Order::kLess>(ops, "lt", type);
  add_comparison<T, Order::kAtMost>(ops, "le", type);
  add_comparison<T, Order::kGreater>(ops, "gt", type);
  add_comparison<T, Order::kAtLeast>(ops, "ge", type);
  ops["setp.nan." + type + " rrr"] = compare_kinds<T, true>;
  ops["setp.num." + type + " rrr"] = compare_kinds<T, false>;
}

}  // namespace

void add_float_operations(Operations& ops) {
  add_of_type<float>(ops, "f32");
  add_of_type<double>(ops, "f64");
  ops["fma.rm.f32 rrrr"] = fused_down;
  ops["div.approx.f32 rrr"] = binary<float, Div>;
  ops["rsqrt.approx.f32 rr"] = unary<float, Rsqrt>;
  ops["ex2.approx.f32 rr"] = unary<float, Exp2>;
  ops["ex2.approx.ftz.f32 rr"] = unary<float, Flushed<Exp2>>;
  ops["lg2.approx.f32 rr"] = unary<float, Log2>;
  ops["rcp.approx.ftz.f64 rr"] = reciprocal_upper_word;
}

}  // namespace pg::ptx
