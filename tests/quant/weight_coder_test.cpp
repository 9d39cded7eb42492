// The weight coder: what goes in comes out, no other stream gives it, and it costs what theory
// says.
#include "quant/coder/weight_coder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

#include "harness/bench/reference_coders.h"
#include "src/base/rng.h"

namespace pg {
namespace {

struct Matrix {
  CodeShape shape;
  std::vector<int8_t> codes;
  int role = 0;
};

// Gaussian codes; row and column levels are log-normal with the given spreads (0: all alike).
Matrix gaussian_matrix(CodeShape shape, double sigma, uint64_t seed, double row_spread = 0,
                       double col_spread = 0) {
  const CounterRng rng(seed, kStreamTest);
  Matrix m{.shape = shape, .codes = {}, .role = 0};
  const auto level = [&](double spread, uint64_t i) {
    return std::exp(spread * rng.normal((uint64_t{1} << 40) + i));
  };
  for (int64_t i = 0; i < shape.rows; ++i) {
    for (int64_t j = 0; j < shape.cols; ++j) {
      const double s = sigma * level(row_spread, static_cast<uint64_t>(i)) *
                       level(col_spread, static_cast<uint64_t>(shape.rows + j));
      const double value = std::rint(s * rng.normal(static_cast<uint64_t>(i * shape.cols + j)));
      const double limit = shape.max_code;
      m.codes.push_back(static_cast<int8_t>(std::clamp(value, -limit, limit)));
    }
  }
  return m;
}

Bytes encode(const std::vector<Matrix>& matrices) {
  WeightEncoder encoder;
  for (const Matrix& m : matrices) encoder.codes(m.shape, m.codes, m.role);
  return encoder.finish();
}

// The matrices of `like`'s shapes that the stream holds; empty when it is refused.
std::vector<Matrix> decode(std::span<const uint8_t> stream, const std::vector<Matrix>& like) {
  WeightDecoder decoder(stream);
  std::vector<Matrix> out = like;
  for (Matrix& m : out) {
    std::ranges::fill(m.codes, int8_t{77});
    if (!decoder.codes(m.shape, m.codes, m.role)) return {};
  }
  return decoder.finish() ? out : std::vector<Matrix>();
}

void expect_round_trip(const std::vector<Matrix>& matrices) {
  const Bytes stream = encode(matrices);
  const std::vector<Matrix> out = decode(stream, matrices);
  ASSERT_EQ(out.size(), matrices.size());
  for (size_t i = 0; i < out.size(); ++i) EXPECT_EQ(out[i].codes, matrices[i].codes);
}

double entropy_bytes(std::span<const int8_t> codes) {
  std::array<double, 256> counts = {};
  for (const int8_t c : codes) counts[static_cast<uint8_t>(c)] += 1;
  double bits = 0;
  for (const double n : counts) {
    if (n > 0) bits -= n * std::log2(n / static_cast<double>(codes.size()));
  }
  return bits / 8;
}

// Entropy of round(sigma N(0, 1)) clamped to +-max_code, in bits.
double gaussian_entropy(double sigma, int max_code) {
  const auto below = [&](double x) { return 0.5 * std::erfc(-x / sigma / std::sqrt(2.0)); };
  double bits = 0;
  for (int q = -max_code; q <= max_code; ++q) {
    const double p = (q == max_code ? 1 : below(q + 0.5)) - (q == -max_code ? 0 : below(q - 0.5));
    if (p > 0) bits -= p * std::log2(p);
  }
  return bits;
}

TEST(WeightCoder, RoundTripsEveryMaxCode) {
  for (int max_code = 1; max_code <= 127; ++max_code) {
    const auto seed = static_cast<uint64_t>(max_code);
    expect_round_trip({gaussian_matrix({37, 21, max_code}, max_code / 3.0, seed),
                       gaussian_matrix({16, 5, max_code}, max_code * 2.0, seed + 1000)});
  }
}

TEST(WeightCoder, RoundTripsDegenerateShapes) {
  for (const auto& [rows, cols] : std::vector<std::pair<int64_t, int64_t>>{
           {0, 0}, {0, 7}, {7, 0}, {1, 1}, {1, 200}, {200, 1}, {15, 65}, {16, 64}, {17, 63}}) {
    expect_round_trip({gaussian_matrix({rows, cols, 31}, 3, 5)});
  }
  expect_round_trip({});
}

TEST(WeightCoder, RoundTripsExtremes) {
  for (const int max_code : {1, 31, 127}) {
    Matrix zeros = gaussian_matrix({40, 30, max_code}, 0, 1);
    Matrix all = zeros, alternating = zeros, one = zeros;
    std::ranges::fill(all.codes, static_cast<int8_t>(-max_code));
    for (size_t i = 0; i < alternating.codes.size(); ++i) {
      alternating.codes[i] = static_cast<int8_t>((i / 30) % 2 == 0 ? max_code : -max_code);
    }
    one.codes[777] = static_cast<int8_t>(max_code);
    expect_round_trip({zeros, all, alternating, one, gaussian_matrix({40, 30, max_code}, 9, 2)});
  }
}

TEST(WeightCoder, RoundTripsRolesAndChangingMaxCode) {
  std::vector<Matrix> matrices;
  for (int i = 0; i < 24; ++i) {
    matrices.push_back(gaussian_matrix({20 + i, 33, i % 5 == 0 ? 7 : 31}, 1.0 + i, 3));
    matrices.back().role = i % kCoderRoles;
  }
  expect_round_trip(matrices);
}

TEST(WeightCoder, SameBytesTwice) {
  const std::vector<Matrix> matrices = {gaussian_matrix({64, 48, 31}, 3, 9)};
  EXPECT_EQ(encode(matrices), encode(matrices));
}

// Nothing but the encoder's own bytes decodes: every truncation, extension and bit flip either
// fails or gives other codes, whose one encoding it then is.
TEST(WeightCoder, OneStreamForOneMatrix) {
  const std::vector<Matrix> matrices = {gaussian_matrix({24, 8, 7}, 1.5, 4, 0.3, 0.3)};
  const Bytes stream = encode(matrices);
  for (size_t size = 0; size < stream.size(); ++size) {
    EXPECT_TRUE(decode(std::span(stream).first(size), matrices).empty()) << size;
  }
  for (const size_t extra : {1, 4, 8}) {
    Bytes longer = stream;
    longer.resize(longer.size() + extra);
    EXPECT_TRUE(decode(longer, matrices).empty()) << extra;
  }
  for (size_t bit = 0; bit < 8 * stream.size(); ++bit) {
    Bytes flipped = stream;
    flipped[bit / 8] ^= static_cast<uint8_t>(1u << bit % 8);
    const std::vector<Matrix> out = decode(flipped, matrices);
    if (out.empty()) continue;
    EXPECT_NE(out[0].codes, matrices[0].codes) << bit;
    EXPECT_EQ(encode(out), flipped) << bit;
  }
}

TEST(WeightCoder, FailureIsForGood) {
  const std::vector<Matrix> matrices = {gaussian_matrix({24, 8, 7}, 1.5, 4)};
  const Bytes stream = encode(matrices);
  WeightDecoder decoder(std::span<const uint8_t>(stream).first(stream.size() - 4));
  std::vector<int8_t> out(24 * 8);
  EXPECT_FALSE(decoder.codes(matrices[0].shape, out, 0) && decoder.finish());
  WeightDecoder empty(std::span<const uint8_t>{});
  EXPECT_TRUE(empty.failed());
  EXPECT_FALSE(empty.codes({1, 1, 1}, std::span<int8_t>(out).first(1), 0));
  EXPECT_FALSE(empty.finish());
}

// sigma 0.4 stands for a sparse ternary matrix, 2.41 for the records' int6, 9 for int8 embeddings.
TEST(WeightCoder, GaussianCodesCostTheirEntropy) {
  for (const auto& [sigma, max_code] :
       std::vector<std::pair<double, int>>{{0.4, 1}, {0.7, 1}, {1.2, 7}, {2.41, 31}, {4.5, 63}}) {
    const Matrix m = gaussian_matrix({1024, 512, max_code}, sigma, 11);
    const double bits = 8.0 * static_cast<double>(encode({m}).size()) / (1024 * 512);
    EXPECT_LT(bits, gaussian_entropy(sigma, max_code) * 1.003) << sigma;
  }
  const Matrix wide = gaussian_matrix({1024, 512, 127}, 20, 11);
  EXPECT_LT(encode({wide}).size(), entropy_bytes(wide.codes) * 1.003);
}

// What the levels take away: entropy of the mixture over all codes minus that within rows and
// columns.
TEST(WeightCoder, LevelsOfRowsAndColumnsPay) {
  const CodeShape shape{512, 512, 63};
  const double alike = static_cast<double>(encode({gaussian_matrix(shape, 3, 1)}).size());
  for (const auto& [rows, cols] :
       std::vector<std::pair<double, double>>{{0, .4}, {.4, 0}, {.3, .3}}) {
    const Matrix m = gaussian_matrix(shape, 3, 1, rows, cols);
    const double size = static_cast<double>(encode({m}).size());
    EXPECT_LT(size, 0.97 * entropy_bytes(m.codes)) << rows << " " << cols;
    EXPECT_LT(size, 1.02 * alike) << rows << " " << cols;
  }
}

// Embedding rows of tokens that training never saw move alike.
TEST(WeightCoder, RepeatedRowsAreNearlyFree) {
  Matrix m = gaussian_matrix({400, 128, 127}, 12, 8);
  const auto unseen = static_cast<double>(encode({m}).size());
  for (size_t i = 100; i < 200; ++i) {
    for (size_t j = 0; j < 128; ++j) {
      const bool differs = (i * 31 + j * 17) % 23 == 0;
      m.codes[i * 128 + j] = static_cast<int8_t>(m.codes[99 * 128 + j] + (differs ? 1 : 0));
    }
  }
  for (int8_t& code : m.codes) code = std::max<int8_t>(code, -127);
  expect_round_trip({m});
  EXPECT_LT(static_cast<double>(encode({m}).size()), 0.79 * unseen);
}

TEST(WeightCoder, TernaryBeatsFiveTritsAByte) {
  const Matrix m = gaussian_matrix({512, 256, 1}, 0.45, 2);
  const Bytes packed = pack_trits(m.codes);
  std::vector<int8_t> unpacked(m.codes.size());
  unpack_trits(packed, unpacked);
  EXPECT_EQ(unpacked, m.codes);
  EXPECT_LT(encode({m}).size(), packed.size() * 72 / 100);
}

TEST(WeightCoder, SmallerThanGeneralCoders) {
  const Matrix m = gaussian_matrix({96, 192, 31}, 2.6, 6, 0.2, 0.2);
  const size_t ours = encode({m}).size();
  const std::span raw(reinterpret_cast<const uint8_t*>(m.codes.data()), m.codes.size());
  for (const ReferenceResult& r : run_reference_coders(raw, true)) {
    if (!r.bytes) continue;  // not installed
    EXPECT_LT(static_cast<int64_t>(ours), *r.bytes) << r.name;
  }
}

TEST(WeightCoder, PriceIsTheSize) {
  std::vector<Matrix> matrices = {gaussian_matrix({300, 200, 31}, 3, 1, 0.2, 0.2),
                                  gaussian_matrix({100, 300, 127}, 15, 2)};
  matrices[1].role = 3;
  const std::vector<CodeShape> shapes = {matrices[0].shape, matrices[1].shape};
  const std::vector<std::span<const int8_t>> codes = {matrices[0].codes, matrices[1].codes};
  const double price = price_codes(shapes, codes, std::vector<int>{0, 3});
  EXPECT_NEAR(price, static_cast<double>(encode(matrices).size()), 40);  // 32 bytes of states
}

struct Vectors {
  std::vector<uint16_t> scales, values;
  std::vector<int8_t> offsets;
};

Bytes encode(const Vectors& v) {
  WeightEncoder encoder;
  encoder.halves(v.scales, HalfKind::kScales, 1);
  encoder.halves(v.values, HalfKind::kValues, 1);
  encoder.small_codes(v.offsets, 9, 2);
  return encoder.finish();
}

bool decode(std::span<const uint8_t> stream, Vectors& v) {
  WeightDecoder decoder(stream);
  return decoder.halves(v.scales, HalfKind::kScales, 1) &&
         decoder.halves(v.values, HalfKind::kValues, 1) && decoder.small_codes(v.offsets, 9, 2) &&
         decoder.finish();
}

Vectors random_vectors(size_t n) {
  const CounterRng rng(3, kStreamTest);
  Vectors v;
  for (uint64_t i = 0; i < n; ++i) {
    v.scales.push_back(static_cast<uint16_t>(rng.below(3 * i, 65536)));
    v.values.push_back(static_cast<uint16_t>(rng.below(3 * i + 1, 65536)));
    v.offsets.push_back(static_cast<int8_t>(static_cast<int>(rng.below(3 * i + 2, 19)) - 9));
  }
  return v;
}

TEST(WeightCoderVectors, RoundTripAnything) {
  for (const size_t n : {0, 1, 2, 1000}) {
    const Vectors v = random_vectors(n);
    Vectors out{std::vector<uint16_t>(n), std::vector<uint16_t>(n), std::vector<int8_t>(n)};
    ASSERT_TRUE(decode(encode(v), out));
    EXPECT_EQ(out.scales, v.scales);
    EXPECT_EQ(out.values, v.values);
    EXPECT_EQ(out.offsets, v.offsets);
  }
}

TEST(WeightCoderVectors, RoundTripEveryDifferenceAndMaxCode) {
  std::vector<uint16_t> scales;
  for (uint32_t i = 0; i < 65536; ++i) scales.push_back(static_cast<uint16_t>(i * i + i / 7));
  WeightEncoder encoder;
  encoder.halves(scales, HalfKind::kScales, 0);
  std::vector<std::vector<int8_t>> offsets;
  for (int max_code = 1; max_code <= 127; ++max_code) {
    std::vector<int8_t>& s = offsets.emplace_back();
    for (int i = 0; i < 100; ++i) {
      s.push_back(static_cast<int8_t>(i * 37 % (2 * max_code + 1) - max_code));
    }
    encoder.small_codes(s, max_code, 0);
  }
  const Bytes stream = encoder.finish();
  WeightDecoder decoder(stream);
  std::vector<uint16_t> out(scales.size());
  ASSERT_TRUE(decoder.halves(out, HalfKind::kScales, 0));
  EXPECT_EQ(out, scales);
  for (int max_code = 1; max_code <= 127; ++max_code) {
    std::vector<int8_t> s(100);
    ASSERT_TRUE(decoder.small_codes(s, max_code, 0));
    EXPECT_EQ(s, offsets[static_cast<size_t>(max_code - 1)]);
  }
  EXPECT_TRUE(decoder.finish());
}

TEST(WeightCoderVectors, OneStreamForOneContent) {
  const Vectors v = random_vectors(20);
  const Bytes stream = encode(v);
  for (size_t bit = 0; bit < 8 * stream.size(); ++bit) {
    Bytes flipped = stream;
    flipped[bit / 8] ^= static_cast<uint8_t>(1u << bit % 8);
    Vectors out = v;
    if (!decode(flipped, out)) continue;
    EXPECT_EQ(encode(out), flipped) << bit;
  }
}

size_t scale_bytes(const std::function<int(uint64_t)>& half) {
  std::vector<uint16_t> halves;
  for (uint64_t i = 0; i < 4000; ++i) halves.push_back(static_cast<uint16_t>(half(i)));
  WeightEncoder encoder;
  encoder.halves(halves, HalfKind::kScales, 0);
  return encoder.finish().size();
}

TEST(WeightCoderVectors, RegularScalesAreCheap) {
  const CounterRng rng(1, kStreamTest);
  const auto noise = [&](uint64_t i) { return static_cast<int>(rng.below(i, 512)); };
  const size_t any = scale_bytes([&](uint64_t i) { return 9000 + noise(i); });
  EXPECT_LT(any, 5300u);  // 9 bits of noise are 4,500 bytes; the difference of two has 9.7
  // On a grid of 16: five bits.
  EXPECT_LT(scale_bytes([&](uint64_t i) { return 9008 / 16 * 16 + noise(i) / 16 * 16; }), 3100u);
  EXPECT_LT(scale_bytes([&](uint64_t i) { return 9000 + static_cast<int>(i / 4); }),
            450u);  // sorted
  EXPECT_LT(scale_bytes([&](uint64_t) { return 9000; }), 60u);
}

TEST(WeightCoderVectors, SmallCodesUseWhatIsCheaper) {
  const CounterRng rng(2, kStreamTest);
  std::vector<int8_t> walk, jumps;
  int at = 0;
  for (uint64_t i = 0; i < 4000; ++i) {
    at = std::clamp(at + static_cast<int>(rng.below(i, 3)) - 1, -20, 20);
    walk.push_back(static_cast<int8_t>(at));
    jumps.push_back(static_cast<int8_t>(rng.below(9000 + i, 2) == 0 ? -20 : 20));
  }
  const auto size = [](std::span<const int8_t> codes) {
    WeightEncoder encoder;
    encoder.small_codes(codes, 20, 0);
    return encoder.finish().size();
  };
  EXPECT_LT(size(walk), 900u);   // log2 3 bits each: 792 bytes
  EXPECT_LT(size(jumps), 600u);  // one bit each: 500 bytes
}

}  // namespace
}  // namespace pg
