// The elementwise kernels under every schedule: tails of packs, tiles and chunks of rows, rows that
// lie apart; aligned and misaligned tensors give the same bits.
#include <gtest/gtest.h>

#include "tests/simt/elementwise_check.h"
#include "tests/simt/kernel_harness.h"

namespace pg::kerneltest {
namespace {

template <class T>
struct Product {
  AddScaledFamily<T> add_scaled = {&kernels::add_scaled<T>, &kernels::add_scaled_backward<T>};
  MixFamily<T> mix = {&kernels::mix<T>, &kernels::mix_backward<T>};
  LeakyRelu2Family<T> leaky_relu2 = {&kernels::leaky_relu2<T>, &kernels::leaky_relu2_backward<T>};
  SwigluFamily<T> swiglu = {&kernels::swiglu<T>, &kernels::swiglu_backward<T>};
  GatedMixFamily<T> gated_mix = {&kernels::gated_mix<T>, &kernels::gated_mix_backward<T>};
  BlendFamily<T> blend = {&kernels::blend<T>, &kernels::blend_backward<T>};
};

// A row of less than a pack; whole packs; a tile's end; several chunks of rows; rows apart that are
// whole packs, and that are not.
constexpr ElementwiseCase kCases[] = {
    {.rows = 3, .dim = 7},
    {.rows = 17, .dim = 40},
    {.rows = 2, .dim = 264, .accumulate = true},
    {.rows = 35, .dim = 24, .gap = 8},
    {.rows = 35, .dim = 25, .gap = 3, .accumulate = true},
};

class ElementwiseKernel : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string reason = reason_to_skip(); !reason.empty()) GTEST_SKIP() << reason;
  }
};

template <class T>
void check_product(const char* type) {
  const Product<T> product;
  for (const ElementwiseCase& c : kCases) {
    SCOPED_TRACE(std::string(type) + " " + std::to_string(c.rows) + " x " + std::to_string(c.dim));
    EXPECT_EQ(check_elementwise(product.add_scaled, c), "");
    EXPECT_EQ(check_elementwise(product.mix, c), "");
    EXPECT_EQ(check_elementwise(product.leaky_relu2, c), "");
    EXPECT_EQ(check_elementwise(product.swiglu, c), "");
    EXPECT_EQ(check_elementwise(product.gated_mix, c), "");
    EXPECT_EQ(check_elementwise(product.blend, c), "");
  }
}

TEST_F(ElementwiseKernel, IsRightInF32) { check_product<float>("f32"); }
TEST_F(ElementwiseKernel, IsRightInBf16) { check_product<bf16>("bf16"); }

// More rows than the chunks have at least, so that a thread takes several. Whole numbers add up
// exactly.
TEST_F(ElementwiseKernel, TakesChunksOfManyRows) {
  const int64_t rows = 16 * kernels::kMaxRowChunks + 8;
  std::vector<float> x_values, none(static_cast<size_t>(rows), 0.0f);
  for (int64_t row = 0; row < rows; ++row) x_values.push_back(static_cast<float>(row % 3));
  const DeviceArray<float> x(x_values), y(none), a({2.0f}), da({0.0f});
  const DeviceArray<float> partial(
      std::vector<float>(static_cast<size_t>(kernels::column_partials(2, rows, 1)), NAN));
  kernels::mix<float>({y.data(), 1}, {x.data(), 1}, a.data(), {}, nullptr, rows, 1, nullptr);
  kernels::mix_backward<float>({}, {}, {da.data()}, {}, {y.data(), 1}, {x.data(), 1}, nullptr, {},
                               nullptr, partial.data(), rows, 1, nullptr);
  float sum_of_squares = 0.0f;
  for (float& value : x_values) {
    sum_of_squares += 2.0f * value * value;
    value *= 2.0f;
  }
  EXPECT_EQ(y.fetch(), x_values);
  EXPECT_EQ(da.fetch(), std::vector<float>{sum_of_squares});
}

// Weights of an absent matrix are not read: 0 times infinity would not be 0.
TEST_F(ElementwiseKernel, MixTakesAnAbsentMatrixForZero) {
  const DeviceArray<float> x({1.0f, 2.0f}), a({3.0f, 4.0f}), b({INFINITY, NAN}), y({0.0f, 0.0f});
  kernels::mix<float>({y.data(), 2}, {x.data(), 2}, a.data(), {}, b.data(), 1, 2, nullptr);
  EXPECT_EQ(y.fetch(), (std::vector<float>{3.0f, 8.0f}));
}

TEST_F(ElementwiseKernel, ASumOfNoRowsIsZero) {
  const DeviceArray<float> s({2.0f}), ds({7.0f}), dw({7.0f, 7.0f}), partial({0.0f});
  kernels::add_scaled_backward<float>({}, {}, {ds.data()}, {}, {s.data(), 2}, {s.data(), 2},
                                      s.data(), nullptr, partial.data(), 0, 2, nullptr);
  kernels::mix_backward<float>({}, {}, {dw.data()}, {}, {s.data(), 2}, {s.data(), 2}, nullptr, {},
                               nullptr, partial.data(), 0, 2, nullptr);
  EXPECT_EQ(ds.fetch(), std::vector<float>{0.0f});
  EXPECT_EQ(dw.fetch(), (std::vector<float>{0.0f, 0.0f}));
}

}  // namespace
}  // namespace pg::kerneltest
