// The kernels that move and mix whole rows on odd sizes: tails of packs, runs and chunks of rows,
// starts of sequences at any place of them, rows wider than a block, misaligned tensors.
#include <gtest/gtest.h>

#include "tests/simt/exact_values.h"
#include "tests/simt/row_mix_check.h"

namespace pg::kerneltest {
namespace {

constexpr BagsFamily kBags = {&kernels::mean_bags<float>, &kernels::mean_bags<bf16>,
                              &kernels::mean_bags_backward<float>,
                              &kernels::mean_bags_backward<bf16>};
constexpr PrependRowsFamily kPrependRows = {
    &kernels::prepend_rows<float>, &kernels::prepend_rows<bf16>,
    &kernels::prepend_rows_backward<float>, &kernels::prepend_rows_backward<bf16>};
constexpr SmearFamily kSmear = {&kernels::smear<float>, &kernels::smear<bf16>,
                                &kernels::smear_backward<float>, &kernels::smear_backward<bf16>};
constexpr TokenSmearFamily kTokenSmear = {&kernels::token_smear<float>, &kernels::token_smear<bf16>,
                                          &kernels::token_smear_backward<float>,
                                          &kernels::token_smear_backward<bf16>};

class RowMixKernel : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string reason = reason_to_skip(); !reason.empty()) GTEST_SKIP() << reason;
  }
};

TEST_F(RowMixKernel, MeansOfBags) {
  for (const RowMixCase& s : {
           RowMixCase{.rows = 1, .dim = 1},
           RowMixCase{.rows = 7, .dim = 33, .bag = 16},
           RowMixCase{.rows = 3, .dim = 16, .bag = 4, .offset = 1},
           RowMixCase{.rows = 9, .dim = 24, .bag = 2, .accumulate = true},
           RowMixCase{.rows = 2, .dim = 2056, .bag = 2},
       }) {
    EXPECT_EQ(check_bags(kBags, s), "") << s.rows << " x " << s.bag << " x " << s.dim;
  }
}

TEST_F(RowMixKernel, MemoryRows) {
  for (const RowMixCase& s : {
           RowMixCase{.rows = 2, .tokens = 1, .dim = 1},
           RowMixCase{.rows = 42, .tokens = 3, .dim = 16, .memory = 4},
           RowMixCase{.rows = 5, .tokens = 6, .dim = 33, .first = 8, .memory = 3},
           RowMixCase{.rows = 9, .tokens = 1, .dim = 24, .memory = 2, .offset = 1},
           RowMixCase{.rows = 12, .tokens = 4, .dim = 24, .memory = 2, .accumulate = true},
       }) {
    EXPECT_EQ(check_prepend_rows(kPrependRows, s), "") << s.rows << " x " << s.dim;
  }
}

TEST_F(RowMixKernel, SmearedChannels) {
  for (const RowMixCase& s : {
           RowMixCase{.rows = 1, .tokens = 1, .dim = 1},
           RowMixCase{.rows = 90, .tokens = 45, .dim = 33},
           RowMixCase{.rows = 40, .tokens = 5, .dim = 16, .offset = 1},
           RowMixCase{.rows = 40, .tokens = 20, .dim = 24, .accumulate = true},
           RowMixCase{.rows = 21, .tokens = 9, .dim = 8, .first = 13},
           RowMixCase{.rows = 3, .tokens = 3, .dim = 2056},
       }) {
    EXPECT_EQ(check_smear(kSmear, s), "") << s.rows << " x " << s.dim;
  }
}

TEST_F(RowMixKernel, SmearedTokens) {
  for (const RowMixCase& s : {
           RowMixCase{.rows = 1, .tokens = 1, .dim = 1},
           RowMixCase{.rows = 90, .tokens = 45, .dim = 34, .width = 34},
           RowMixCase{.rows = 70, .tokens = 10, .dim = 16, .width = 4, .offset = 1},
           RowMixCase{.rows = 40, .tokens = 20, .dim = 24, .width = 12, .accumulate = true},
           RowMixCase{.rows = 21, .tokens = 9, .dim = 8, .first = 13, .width = 4},
           RowMixCase{.rows = 4, .tokens = 4, .dim = 2056, .width = 2},
       }) {
    EXPECT_EQ(check_token_smear(kTokenSmear, s), "") << s.rows << " x " << s.dim;
  }
}

TEST_F(RowMixKernel, LeaveOutWhatIsNotAsked) {
  const int64_t rows = 20, dim = 8;
  const auto x = normal_values<float>(rows * dim, 1.0, 1);
  const DeviceArray<float> device_x(x), gates(normal_values<float>(dim, 1.0, 3)), scale({0.3f});
  const DeviceArray<float> dgate(std::vector<float>(dim, NAN)), dw(std::vector<float>(dim, NAN));
  const DeviceArray<int32_t> ids(std::vector<int32_t>(rows, 0));
  const kernels::SmearedTokens shape{rows, rows, dim, dim};
  const Scratch<float> partial(kernels::count_token_smear_sums(shape));
  kernels::smear_backward<float>({}, {dgate.data()}, device_x.data(), device_x.data(), gates.data(),
                                 rows, rows, dim, partial.data(), nullptr);
  EXPECT_TRUE(std::isfinite(dgate.fetch()[0]));
  kernels::token_smear_backward<float>({}, {dw.data()}, {}, device_x.data(), device_x.data(),
                                       ids.data(), gates.data(), scale.data(), shape,
                                       partial.data(), nullptr);
  EXPECT_TRUE(std::isfinite(dw.fetch()[0]));
}

}  // namespace
}  // namespace pg::kerneltest
