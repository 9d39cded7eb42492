// The exact product's promise: each element is one chain of fused multiply-adds, whatever is
// computed beside it and on whatever processor.
#include "src/device/exact/exact_product.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "src/base/hash.h"
#include "src/base/rng.h"
#include "src/base/threads.h"
#include "src/device/registry/make_device.h"

namespace pg {
namespace {

constexpr auto kIsas = std::to_array({ExactIsa::kGeneric, ExactIsa::kAvx2, ExactIsa::kAvx512});

// Numbers in [-1, 1) of either type, as the floats they stand for and as stored.
struct Numbers {
  Numbers(int64_t count, DType type, uint64_t seed) : floats(static_cast<size_t>(count)) {
    const CounterRng rng(seed, kStreamTest);
    for (size_t i = 0; i < floats.size(); ++i) {
      floats[i] = static_cast<float>(2.0 * rng.uniform(i) - 1.0);
      if (type == DType::kBF16) floats[i] = static_cast<float>(bf16(floats[i]));
    }
    stored.resize(floats.size() * dtype_bytes(type));
    for (size_t i = 0; i < floats.size(); ++i) {
      const bf16 half(floats[i]);
      type == DType::kBF16 ? std::memcpy(&stored[i * 2], &half, 2)
                           : std::memcpy(&stored[i * 4], &floats[i], 4);
    }
  }
  std::vector<float> floats;
  std::vector<unsigned char> stored;
};

struct Operands {
  explicit Operands(const Product& p)
      : a((p.transpose_a ? p.k : p.m) * p.stride_a(), p.operands, 1),
        b((p.transpose_b ? p.n : p.k) * p.stride_b(), p.operands, 2),
        c(p.m * p.stride_c(), p.result, 3) {}
  Numbers a, b, c;
};

// C as the definition says, element by element; what lies between its rows stays.
std::vector<unsigned char> multiply_by_chains(const Product& p, const Operands& operands) {
  const auto at = [](const std::vector<float>& x, int64_t row, int64_t col, int64_t stride) {
    return x[static_cast<size_t>(row * stride + col)];
  };
  std::vector<unsigned char> stored = operands.c.stored;
  for (int64_t i = 0; i < p.m; ++i) {
    for (int64_t j = 0; j < p.n; ++j) {
      float sum = 0.0f;
      for (int64_t q = 0; q < p.k; ++q) {
        const float a = p.transpose_a ? at(operands.a.floats, q, i, p.stride_a())
                                      : at(operands.a.floats, i, q, p.stride_a());
        const float b = p.transpose_b ? at(operands.b.floats, j, q, p.stride_b())
                                      : at(operands.b.floats, q, j, p.stride_b());
        sum = std::fma(a, b, sum);
      }
      const auto place = static_cast<size_t>(i * p.stride_c() + j);
      if (p.accumulate) sum = operands.c.floats[place] + sum;
      const bf16 half(sum);
      p.result == DType::kBF16 ? std::memcpy(&stored[place * 2], &half, 2)
                               : std::memcpy(&stored[place * 4], &sum, 4);
    }
  }
  return stored;
}

std::vector<unsigned char> multiply(ExactIsa isa, const Product& p, const Operands& operands,
                                    bool in_place = false) {
  const ExactProduct exact(isa);
  std::vector<float> packed(static_cast<size_t>(exact.packed_floats(p)), NAN);
  std::vector<float> scratch(static_cast<size_t>(exact.scratch_floats(p)), NAN);
  std::vector<unsigned char> c = operands.c.stored;
  if (!in_place) exact.pack(p, operands.b.stored.data(), 0, exact.panels(p), packed.data());
  exact.run(p, operands.a.stored.data(),
            in_place ? exact.in_place(p, operands.b.stored.data()) : exact.packed(p, packed.data()),
            c.data(), scratch.data());
  return c;
}

std::string describe(const Product& p, ExactIsa isa) {
  return "m " + std::to_string(p.m) + " n " + std::to_string(p.n) + " k " + std::to_string(p.k) +
         (p.transpose_a ? " At" : "") + (p.transpose_b ? " Bt" : "") + (p.accumulate ? " +=" : "") +
         " " + dtype_name(p.operands) + " -> " + dtype_name(p.result) + " lda " +
         std::to_string(p.lda) + " isa " + std::to_string(static_cast<int>(isa));
}

void expect_chains(const Product& product) {
  const Operands operands(product);
  const std::vector<unsigned char> expected = multiply_by_chains(product, operands);
  for (const ExactIsa isa : kIsas) {
    if (!has_exact_isa(isa)) continue;
    EXPECT_EQ(multiply(isa, product, operands), expected) << describe(product, isa);
    if (ExactProduct(isa).reads_b_in_place(product)) {
      EXPECT_EQ(multiply(isa, product, operands, true), expected) << describe(product, isa);
    }
  }
}

// Calls body for every way to store and add.
template <class Body>
void for_each_layout(Product product, const Body& body) {
  for (int flags = 0; flags < 16; ++flags) {
    product.transpose_a = (flags & 1) != 0;
    product.transpose_b = (flags & 2) != 0;
    product.accumulate = (flags & 4) != 0;
    product.lda = product.ldb = product.ldc = 0;
    if ((flags & 8) != 0) {
      product.lda = product.stride_a() + 3;
      product.ldb = product.stride_b() + 5;
      product.ldc = product.stride_c() + 7;
    }
    body(product);
  }
}

TEST(ExactProduct, EveryElementIsOneChainInEveryShape) {
  constexpr int64_t kMaxWork = 40000;  // multiply-adds, so that the whole takes a second
  constexpr auto kSizes = std::to_array<int64_t>({1, 5, 17, 33, 64, 191, 1000});
  for (const int64_t m : kSizes) {
    for (const int64_t n : kSizes) {
      for (const int64_t k : kSizes) {
        if (m * n * k > kMaxWork) continue;
        for_each_layout({.m = m, .n = n, .k = k}, expect_chains);
      }
    }
  }
}

// More rows than a cache block has, and more than one panel.
TEST(ExactProduct, EveryElementIsOneChainAcrossCacheBlocks) {
  for_each_layout({.m = 101, .n = 70, .k = 1000}, expect_chains);
}

TEST(ExactProduct, WidensHalfPrecisionAndRoundsOnce) {
  for (const DType result : {DType::kF32, DType::kBF16}) {
    for_each_layout({.m = 13, .n = 37, .k = 29, .operands = DType::kBF16, .result = result},
                    expect_chains);
  }
  for_each_layout({.m = 13, .n = 37, .k = 29, .result = DType::kBF16}, expect_chains);
}

TEST(ExactProduct, AnEmptySumIsZero) { for_each_layout({.m = 9, .n = 33, .k = 0}, expect_chains); }

// The one number that every processor must find.
TEST(ExactProduct, HashOfAFixedProductIsTheSameEverywhere) {
  const Product product = {.m = 119, .n = 203, .k = 517, .transpose_b = true, .accumulate = true};
  const char* const expected = "b2042932faae2a0b297d6042d46a8dff0a6fb3baf7a9829193728e48e193f424";
  const Operands operands(product);
  EXPECT_EQ(hex(sha256(multiply_by_chains(product, operands))), expected);
  for (const ExactIsa isa : kIsas) {
    if (!has_exact_isa(isa)) continue;
    EXPECT_EQ(hex(sha256(multiply(isa, product, operands))), expected) << describe(product, isa);
  }
}

// ---- the law for whole ops: a row's result does not depend on the rows computed with it ----

std::vector<unsigned char> linear_rows(Device& device, const Numbers& x, const Numbers& w,
                                       int64_t first, int64_t rows, int64_t in, int64_t out) {
  const DType type = device.compute_dtype();
  std::vector<unsigned char> y(static_cast<size_t>(rows * out) * sizeof(float));
  device.ops().linear({y.data(), DType::kF32},
                      {&x.stored[static_cast<size_t>(first * in) * dtype_bytes(type)], type},
                      {w.stored.data(), type}, {}, rows, in, out);
  return y;
}

class RowsOnDevice : public testing::TestWithParam<const char*> {};

TEST_P(RowsOnDevice, DoNotDependOnTheirNeighbours) {
  const std::unique_ptr<Device> device = make_device(GetParam());
  constexpr int64_t kRows = 700;
  const int threads_before = thread_count();
  for (const auto& [in, out] :
       {std::pair{64, 96}, {192, 576}, {576, 192}, {191, 1000}, {256, 256}, {1536, 512}}) {
    const Numbers x(kRows * in, device->compute_dtype(), 4);
    const Numbers w(out * in, device->compute_dtype(), 5);
    const std::vector<unsigned char> all = linear_rows(*device, x, w, 0, kRows, in, out);
    for (const auto& [first, rows] :
         {std::pair{0, 1}, {699, 1}, {3, 5}, {0, 17}, {100, 64}, {31, 255}, {256, 256}, {1, 699}}) {
      for (const int threads : {1, 3}) {
        set_thread_count(threads);
        const std::vector<unsigned char> some = linear_rows(*device, x, w, first, rows, in, out);
        const auto row_bytes = static_cast<size_t>(out) * sizeof(float);
        EXPECT_EQ(std::memcmp(some.data(), all.data() + static_cast<size_t>(first) * row_bytes,
                              some.size()),
                  0)
            << in << " -> " << out << ", rows " << first << " + " << rows;
      }
      set_thread_count(threads_before);
    }
  }
}

struct LinearShape {
  int64_t rows, in, out;
};

// Into columns of a wider y that holds `terms`, which are added where so said.
std::vector<unsigned char> linear_into_view(Device& device, const Numbers& x, In w,
                                            const Numbers& terms, bool has_addend, bool accumulates,
                                            const LinearShape& s) {
  const DType type = device.compute_dtype();
  const int64_t stride = s.out + 3;
  const auto row_bytes = static_cast<size_t>(s.out) * dtype_bytes(type);
  const auto stride_bytes = static_cast<size_t>(stride) * dtype_bytes(type);
  std::vector<unsigned char> y(static_cast<size_t>(s.rows) * stride_bytes);
  for (size_t row = 0; row < static_cast<size_t>(s.rows); ++row) {
    std::memcpy(&y[row * stride_bytes], &terms.stored[row * row_bytes], row_bytes);
  }
  device.ops().linear({y.data(), type, accumulates, stride}, {x.stored.data(), type}, w,
                      has_addend ? In{terms.stored.data(), type} : In{}, s.rows, s.in, s.out);
  return y;
}

// A packed weight changes no bit: of one row or many, with what is added to it, into a view.
TEST_P(RowsOnDevice, HaveTheSameBitsFromPackedWeights) {
  const std::unique_ptr<Device> device = make_device(GetParam());
  const DType type = device->compute_dtype();
  const int threads_before = thread_count();
  for (const auto& [in, out] : {std::pair{64, 96}, {192, 576}, {576, 192}, {191, 1000}, {192, 8}}) {
    const Numbers w(out * in, type, 5);
    const int64_t bytes = device->ops().packed_bytes(type, in, out);
    EXPECT_TRUE(type != DType::kF32 || bytes > 0);
    if (bytes == 0) continue;  // the library reads its weights as they are
    const DeviceBuffer packed(*device, static_cast<size_t>(bytes));
    const In plain = {w.stored.data(), type};
    device->ops().pack(packed.data(), plain, in, out);
    const In form = {.data = packed.data(), .dtype = type, .packed = true};
    for (const int64_t rows : {1, 2, 9, 24, 25, 130}) {
      const LinearShape shape = {rows, in, out};
      const Numbers x(rows * in, type, 4), terms(rows * out, type, 6);
      for (const auto& [has_addend, accumulates] :
           {std::pair{false, false}, {false, true}, {true, false}, {true, true}}) {
        set_thread_count(1);
        const auto expected =
            linear_into_view(*device, x, plain, terms, has_addend, accumulates, shape);
        for (const int threads : {1, 2, 3}) {
          set_thread_count(threads);
          EXPECT_EQ(linear_into_view(*device, x, form, terms, has_addend, accumulates, shape),
                    expected)
              << in << " -> " << out << ", " << rows << " rows, " << threads << " threads";
        }
      }
    }
  }
  set_thread_count(threads_before);
}

INSTANTIATE_TEST_SUITE_P(Each, RowsOnDevice, testing::Values("cpu:exact", "cpu:bf16"),
                         [](const testing::TestParamInfo<const char*>& info) {
                           return std::string(info.param).substr(4);
                         });

}  // namespace
}  // namespace pg
