// cvt; PTX ISA 9.0, 9.7.9.
#include <bit>
#include <cmath>
#include <string>

#include "tests/simt/ptx/ptx_operations.h"
#include "tests/simt/ptx/ptx_thread.h"

namespace pg::ptx {
namespace {

template <class To, class From>
void convert(Thread& t, const Instruction& i) {
  t.set<To>(i, 0, static_cast<To>(t.get<From>(i, 1)));
}

template <class To>
void add_integers(Operations& ops, const std::string& to) {
  ops["cvt." + to + ".u8 rr"] = convert<To, uint8_t>;
  ops["cvt." + to + ".s8 rr"] = convert<To, int8_t>;
  ops["cvt." + to + ".u16 rr"] = convert<To, uint16_t>;
  ops["cvt." + to + ".s16 rr"] = convert<To, int16_t>;
  ops["cvt." + to + ".u32 rr"] = convert<To, uint32_t>;
  ops["cvt." + to + ".s32 rr"] = convert<To, int32_t>;
  ops["cvt." + to + ".u64 rr"] = convert<To, uint64_t>;
  ops["cvt." + to + ".s64 rr"] = convert<To, int64_t>;
}

template <class To>
void add_integers_to_float(Operations& ops, const std::string& to) {
  ops["cvt.rn." + to + ".u32 rr"] = convert<To, uint32_t>;
  ops["cvt.rn." + to + ".s32 rr"] = convert<To, int32_t>;
  ops["cvt.rn." + to + ".u64 rr"] = convert<To, uint64_t>;
  ops["cvt.rn." + to + ".s64 rr"] = convert<To, int64_t>;
}

// Into [0, 1]; no number becomes 0.
void saturate(Thread& t, const Instruction& i) {
  t.set<float>(i, 0, std::fmin(std::fmax(t.get<float>(i, 1), 0.0f), 1.0f));
}
void truncate(Thread& t, const Instruction& i) {
  t.set<double>(i, 0, std::trunc(t.get<double>(i, 1)));
}

// Nearest, ties to even; any NaN becomes 0x7fff.
uint16_t round_to_bf16(float value) {
  if (std::isnan(value)) return 0x7fff;
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}
void to_bf16(Thread& t, const Instruction& i) {
  t.set<uint16_t>(i, 0, round_to_bf16(t.get<float>(i, 1)));
}
// The first operand becomes the upper half.
void to_two_bf16(Thread& t, const Instruction& i) {
  const uint32_t upper = round_to_bf16(t.get<float>(i, 1)),
                 lower = round_to_bf16(t.get<float>(i, 2));
  t.set<uint32_t>(i, 0, upper << 16 | lower);
}

}  // namespace

void add_conversions(Operations& ops) {
  add_integers<uint16_t>(ops, "u16");
  add_integers<int16_t>(ops, "s16");
  add_integers<uint32_t>(ops, "u32");
  add_integers<int32_t>(ops, "s32");
  add_integers<uint64_t>(ops, "u64");
  add_integers<int64_t>(ops, "s64");
  add_integers_to_float<float>(ops, "f32");
  add_integers_to_float<double>(ops, "f64");
  ops["cvt.f64.f32 rr"] = convert<double, float>;
  ops["cvt.rn.f32.f64 rr"] = convert<float, double>;
  ops["cvt.rzi.f64.f64 rr"] = truncate;
  ops["cvt.sat.f32.f32 rr"] = saturate;
  ops["cvt.rn.bf16.f32 rr"] = to_bf16;
  ops["cvt.rn.bf16x2.f32 rrr"] = to_two_bf16;
}

}  // namespace pg::ptx
