// Integer, bit and predicate instructions; PTX ISA 9.0, 9.7.1, 9.7.6 to 9.7.8.
#include <algorithm>
#include <bit>
#include <limits>
#include <string>

#include "tests/simt/ptx/ptx_operations.h"
#include "tests/simt/ptx/ptx_thread.h"

namespace pg::ptx {
namespace {

template <class T>
using Unsigned = std::make_unsigned_t<T>;
template <class T>
inline constexpr unsigned kBits = 8 * sizeof(T);

// clang-format off
struct Add { template <class T> T operator()(T a, T b) const { return static_cast<T>(a + b); } };
struct Sub { template <class T> T operator()(T a, T b) const { return static_cast<T>(a - b); } };
struct And { template <class T> T operator()(T a, T b) const { return static_cast<T>(a & b); } };
struct Or { template <class T> T operator()(T a, T b) const { return static_cast<T>(a | b); } };
struct Xor { template <class T> T operator()(T a, T b) const { return static_cast<T>(a ^ b); } };
struct Min { template <class T> T operator()(T a, T b) const { return std::min(a, b); } };
struct Max { template <class T> T operator()(T a, T b) const { return std::max(a, b); } };
struct Equal { template <class T> bool operator()(T a, T b) const { return a == b; } };
struct NotEqual { template <class T> bool operator()(T a, T b) const { return a != b; } };
struct Less { template <class T> bool operator()(T a, T b) const { return a < b; } };
struct AtMost { template <class T> bool operator()(T a, T b) const { return a <= b; } };
struct Greater { template <class T> bool operator()(T a, T b) const { return a > b; } };
struct AtLeast { template <class T> bool operator()(T a, T b) const { return a >= b; } };
// clang-format on

// Low half of the product, for any sign; 16 bits must not become a signed product of ints.
struct MulLow {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(uint64_t{a} * uint64_t{b});
  }
};

// Division by zero is undefined in PTX; here it gives all ones and the dividend.
template <class T>
T divide(T a, T b) {
  if (b == 0) return static_cast<T>(~T{0});
  if constexpr (std::is_signed_v<T>) {
    if (b == -1) return static_cast<T>(0 - static_cast<Unsigned<T>>(a));
  }
  return static_cast<T>(a / b);
}
struct Div {
  template <class T>
  T operator()(T a, T b) const {
    return divide(a, b);
  }
};
struct Rem {
  template <class T>
  T operator()(T a, T b) const {
    if (b == 0) return a;
    if constexpr (std::is_signed_v<T>) {
      if (b == -1) return 0;
    }
    return static_cast<T>(a % b);
  }
};

template <class T, class F>
void binary(Thread& t, const Instruction& i) {
  t.set<T>(i, 0, F()(t.get<T>(i, 1), t.get<T>(i, 2)));
}
template <class T, class F>
void compare(Thread& t, const Instruction& i) {
  t.set<bool>(i, 0, F()(t.get<T>(i, 1), t.get<T>(i, 2)));
}
template <class F>
void combine_predicates(Thread& t, const Instruction& i) {
  t.set<bool>(i, 0, F()(t.get<bool>(i, 1), t.get<bool>(i, 2)));
}

template <class T>
void multiply_high(Thread& t, const Instruction& i) {
  using Wide = std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>;
  const Wide product = Wide{t.get<T>(i, 1)} * Wide{t.get<T>(i, 2)};
  t.set<T>(i, 0, static_cast<T>(product >> kBits<T>));
}
template <class T, class Wide, bool kAdds>
void multiply_wide(Thread& t, const Instruction& i) {
  const Wide product = Wide{t.get<T>(i, 1)} * Wide{t.get<T>(i, 2)};
  using Bits = Unsigned<Wide>;
  const Bits addend = kAdds ? t.get<Bits>(i, 3) : Bits{0};
  t.set<Bits>(i, 0, static_cast<Bits>(static_cast<Bits>(product) + addend));
}
template <class T>
void multiply_add_low(Thread& t, const Instruction& i) {
  const T product = MulLow()(t.get<T>(i, 1), t.get<T>(i, 2));
  t.set<T>(i, 0, static_cast<T>(product + t.get<T>(i, 3)));
}

template <class T>
void negate(Thread& t, const Instruction& i) {
  t.set<T>(i, 0, static_cast<T>(0 - t.get<T>(i, 1)));
}
template <class T>
void absolute(Thread& t, const Instruction& i) {
  const Unsigned<T> value = t.get<Unsigned<T>>(i, 1);
  t.set<Unsigned<T>>(i, 0, t.get<T>(i, 1) < 0 ? static_cast<Unsigned<T>>(0 - value) : value);
}
template <class T>
void invert(Thread& t, const Instruction& i) {
  t.set<T>(i, 0, static_cast<T>(~t.get<T>(i, 1)));
}
void invert_predicate(Thread& t, const Instruction& i) { t.set<bool>(i, 0, !t.get<bool>(i, 1)); }

// Shifts by the width or more leave no bit, or only the sign.
template <class T>
void shift_left(Thread& t, const Instruction& i) {
  const uint32_t by = t.get<uint32_t>(i, 2);
  t.set<T>(i, 0, by < kBits<T> ? static_cast<T>(uint64_t{t.get<T>(i, 1)} << by) : T{0});
}
template <class T>
void shift_right(Thread& t, const Instruction& i) {
  const uint32_t by = t.get<uint32_t>(i, 2);
  const T value = t.get<T>(i, 1);
  if (std::is_signed_v<T>) {
    t.set<T>(i, 0, static_cast<T>(value >> std::min(by, kBits<T> - 1)));
  } else {
    t.set<T>(i, 0, by < kBits<T> ? static_cast<T>(value >> by) : T{0});
  }
}

template <class T>
void select(Thread& t, const Instruction& i) {
  t.set<T>(i, 0, t.get<bool>(i, 3) ? t.get<T>(i, 1) : t.get<T>(i, 2));
}
template <class T>
void move(Thread& t, const Instruction& i) {
  t.set<T>(i, 0, t.get<T>(i, 1));
}
void move_predicate(Thread& t, const Instruction& i) { t.set<bool>(i, 0, t.get<bool>(i, 1)); }
// A register taken apart into kParts, the low bits first, or put together.
template <class Part, size_t kParts>
void take_apart(Thread& t, const Instruction& i) {
  const uint64_t bits = t.get<uint64_t>(i, kParts);
  for (size_t k = 0; k < kParts; ++k) t.set<Part>(i, k, static_cast<Part>(bits >> k * kBits<Part>));
}
template <class Part, size_t kParts>
void put_together(Thread& t, const Instruction& i) {
  uint64_t bits = 0;
  for (size_t k = 0; k < kParts; ++k) bits |= uint64_t{t.get<Part>(i, 1 + k)} << k * kBits<Part>;
  t.set<uint64_t>(i, 0, bits);
}

template <class T>
void count_ones(Thread& t, const Instruction& i) {
  t.set<uint32_t>(i, 0, static_cast<uint32_t>(std::popcount(t.get<T>(i, 1))));
}

// bfi d, a, b, position, length: b with the low bits of a at a position.
template <class T>
void insert_bits(Thread& t, const Instruction& i) {
  const uint32_t position = t.get<uint32_t>(i, 3) & 0xff, length = t.get<uint32_t>(i, 4) & 0xff;
  const T ones = length >= kBits<T> ? static_cast<T>(~T{0}) : static_cast<T>((T{1} << length) - 1);
  const T b = t.get<T>(i, 2);
  if (position >= kBits<T>) return t.set<T>(i, 0, b);
  t.set<T>(i, 0, (b & ~(ones << position)) | ((t.get<T>(i, 1) & ones) << position));
}

template <class T>
void add_of_type(Operations& ops, const std::string& type) {
  using U = Unsigned<T>;
  ops["add." + type + " rrr"] = binary<U, Add>;
  ops["sub." + type + " rrr"] = binary<U, Sub>;
  ops["mul.lo." + type + " rrr"] = binary<U, MulLow>;
  ops["mul.hi." + type + " rrr"] = multiply_high<T>;
  ops["mad.lo." + type + " rrrr"] = multiply_add_low<U>;
  ops["div." + type + " rrr"] = binary<T, Div>;
  ops["rem." + type + " rrr"] = binary<T, Rem>;
  ops["min." + type + " rrr"] = binary<T, Min>;
  ops["max." + type + " rrr"] = binary<T, Max>;
  ops["shr." + type + " rrr"] = shift_right<T>;
  ops["selp." + type + " rrrr"] = select<T>;
  ops["mov." + type + " rr"] = move<T>;
  ops["setp.eq." + type + " rrr"] = compare<T, Equal>;
  ops["setp.ne." + type + " rrr"] = compare<T, NotEqual>;
  // Signed comparisons are by two names, unsigned ones by two each.
  for (const char* name : {"lt", "lo"})
    ops["setp." + std::string(name) + '.' + type + " rrr"] = compare<T, Less>;
  for (const char* name : {"le", "ls"})
    ops["setp." + std::string(name) + '.' + type + " rrr"] = compare<T, AtMost>;
  for (const char* name : {"gt", "hi"})
    ops["setp." + std::string(name) + '.' + type + " rrr"] = compare<T, Greater>;
  for (const char* name : {"ge", "hs"})
    ops["setp." + std::string(name) + '.' + type + " rrr"] = compare<T, AtLeast>;
}

template <class T>
void add_of_signed(Operations& ops, const std::string& type) {
  add_of_type<T>(ops, type);
  ops["neg." + type + " rr"] = negate<Unsigned<T>>;
  ops["abs." + type + " rr"] = absolute<T>;
}

// Untyped bits.
template <class T>
void add_of_bits(Operations& ops, const std::string& type) {
  ops["and." + type + " rrr"] = binary<T, And>;
  ops["or." + type + " rrr"] = binary<T, Or>;
  ops["xor." + type + " rrr"] = binary<T, Xor>;
  ops["not." + type + " rr"] = invert<T>;
  ops["shl." + type + " rrr"] = shift_left<T>;
  ops["shr." + type + " rrr"] = shift_right<T>;
  ops["selp." + type + " rrrr"] = select<T>;
  ops["mov." + type + " rr"] = move<T>;
  ops["setp.eq." + type + " rrr"] = compare<T, Equal>;
  ops["setp.ne." + type + " rrr"] = compare<T, NotEqual>;
}

}  // namespace

void add_integer_operations(Operations& ops) {
  add_of_type<uint16_t>(ops, "u16");
  add_of_type<uint32_t>(ops, "u32");
  add_of_type<uint64_t>(ops, "u64");
  add_of_signed<int16_t>(ops, "s16");
  add_of_signed<int32_t>(ops, "s32");
  add_of_signed<int64_t>(ops, "s64");
  add_of_bits<uint16_t>(ops, "b16");
  add_of_bits<uint32_t>(ops, "b32");
  add_of_bits<uint64_t>(ops, "b64");
  ops["mul.wide.u16 rrr"] = multiply_wide<uint16_t, uint32_t, false>;
  ops["mul.wide.s16 rrr"] = multiply_wide<int16_t, int32_t, false>;
  ops["mul.wide.u32 rrr"] = multiply_wide<uint32_t, uint64_t, false>;
  ops["mul.wide.s32 rrr"] = multiply_wide<int32_t, int64_t, false>;
  ops["mad.wide.u32 rrrr"] = multiply_wide<uint32_t, uint64_t, true>;
  ops["mad.wide.s32 rrrr"] = multiply_wide<int32_t, int64_t, true>;
  ops["popc.b32 rr"] = count_ones<uint32_t>;
  ops["popc.b64 rr"] = count_ones<uint64_t>;
  ops["bfi.b32 rrrrr"] = insert_bits<uint32_t>;
  ops["bfi.b64 rrrrr"] = insert_bits<uint64_t>;
  ops["mov.b32 2r"] = take_apart<uint16_t, 2>;
  ops["mov.b32 r2"] = put_together<uint16_t, 2>;
  ops["mov.b64 2r"] = take_apart<uint32_t, 2>;
  ops["mov.b64 r2"] = put_together<uint32_t, 2>;
  ops["mov.b64 4r"] = take_apart<uint16_t, 4>;
  ops["mov.b64 r4"] = put_together<uint16_t, 4>;
  ops["and.pred rrr"] = combine_predicates<And>;
  ops["or.pred rrr"] = combine_predicates<Or>;
  ops["xor.pred rrr"] = combine_predicates<Xor>;
  ops["not.pred rr"] = invert_predicate;
  ops["mov.pred rr"] = move_predicate;
}

}  // namespace pg::ptx
