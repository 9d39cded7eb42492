// The embedding kernels on odd sizes: several chunks and digits of the sort, ids of many rows and of
// none, misaligned tensors.
#include <gtest/gtest.h>

#include "tests/simt/embedding_check.h"
#include "tests/simt/exact_values.h"

namespace pg::kerneltest {
namespace {

constexpr EmbeddingFamily kProduct = {
    &kernels::embed<float>, &kernels::embed<bf16>, &kernels::embed_backward<float, float>,
    &kernels::embed_backward<float, bf16>, &kernels::embed_backward<bf16, bf16>};

class EmbeddingKernel : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string reason = reason_to_skip(); !reason.empty()) GTEST_SKIP() << reason;
  }
};

TEST_F(EmbeddingKernel, IsRightForTablesOfAnySize) {
  for (const EmbeddingCase& shape : {
           EmbeddingCase{.rows = 1, .vocab = 1, .dim = 1},
           EmbeddingCase{.rows = 33, .vocab = 5, .dim = 31},
           EmbeddingCase{.rows = 700, .vocab = 1, .dim = 9},
           EmbeddingCase{.rows = 5, .vocab = 1025, .dim = 8},
           EmbeddingCase{.rows = 1100, .vocab = 1024, .dim = 8},
           EmbeddingCase{.rows = 2100, .vocab = 3000, .dim = 5},
           EmbeddingCase{.rows = 3, .vocab = 4, .dim = 2056},
       }) {
    EXPECT_EQ(check_embedding(kProduct, shape), "")
        << shape.rows << " of " << shape.vocab << " x " << shape.dim;
  }
}

TEST_F(EmbeddingKernel, SortsIdsInOrder) {
  for (const EmbeddingCase& shape :
       {EmbeddingCase{.rows = 1, .vocab = 1}, EmbeddingCase{.rows = 3000, .vocab = 1024},
        EmbeddingCase{.rows = 1500, .vocab = 30000}}) {
    EXPECT_EQ(check_sort({&kernels::sort_ids}, shape), "") << shape.rows << " of " << shape.vocab;
  }
}

TEST_F(EmbeddingKernel, IsRightForMisalignedTensors) {
  EXPECT_EQ(check_embedding(kProduct, {.rows = 300, .vocab = 7, .dim = 16, .offset = 1}), "");
}

TEST_F(EmbeddingKernel, AddsWhenAccumulating) {
  for (const int64_t dim : {16, 17}) {
    EXPECT_EQ(check_embedding(kProduct, {.rows = 300, .vocab = 70, .dim = dim, .accumulate = true}),
              "");
  }
}

// dtable's row of id 1 when the rows `ids` have the gradients `dy`, one after the other.
std::vector<float> gradient_of_id_1(const std::vector<int32_t>& ids, const std::vector<float>& dy,
                                    int64_t dim, size_t offset) {
  const auto rows = static_cast<int64_t>(ids.size());
  const DeviceArray<int32_t> device_ids(ids);
  const DeviceArray<float> device_dy(dy, offset);
  const DeviceArray<float> dtable(std::vector<float>(static_cast<size_t>(3 * dim)), offset);
  const Scratch<int32_t> id_work(kernels::count_scatter_ids(rows, 3));
  const Scratch<float> sum_work(kernels::count_scatter_sums(rows, dim));
  kernels::embed_backward<float, float>({dtable.data(), false}, device_ids.data(), device_dy.data(),
                                        rows, 3, dim, id_work.data(), sum_work.data(), nullptr);
  const std::vector<float> table = dtable.fetch();
  return {table.begin() + dim, table.begin() + 2 * dim};
}

// Neither rows of other ids nor alignment may move where the sum of an id is cut.
TEST_F(EmbeddingKernel, AnIdsSumDependsOnItsOwnRowsAlone) {
  const int64_t rows = 300, dim = 8;
  const std::vector<float> dy = normal_values<float>(rows * dim, 1.0, 5);
  const std::vector<float> alone =
      gradient_of_id_1(std::vector<int32_t>(static_cast<size_t>(rows), 1), dy, dim, 0);
  std::vector<int32_t> ids;
  std::vector<float> among;
  for (int64_t row = 0; row < rows; ++row) {
    for (int32_t other : {0, 1, 2}) {
      if (other != 1 && row % 3 != 0) continue;
      ids.push_back(other);
      among.insert(among.end(), dy.begin() + row * dim, dy.begin() + (row + 1) * dim);
    }
  }
  SameBytes same;
  EXPECT_EQ(same.check("dtable", alone), "");
  EXPECT_EQ(same.check("dtable", gradient_of_id_1(ids, among, dim, 0)), "");
  EXPECT_EQ(same.check("dtable", gradient_of_id_1(ids, among, dim, 1)), "");
}

TEST_F(EmbeddingKernel, NoRowsAreASumOfZero) {
  const DeviceArray<float> dtable(std::vector<float>(6, NAN));
  const Scratch<int32_t> id_work(kernels::count_scatter_ids(0, 3));
  kernels::embed_backward<float, float>({dtable.data(), false}, nullptr, nullptr, 0, 3, 2,
                                        id_work.data(), nullptr, nullptr);
  EXPECT_EQ(dtable.fetch(), std::vector<float>(6, 0.0f));
}

TEST_F(EmbeddingKernel, HashesIdsThatWrap) {
  for (const bool trigram : {false, true}) {
    for (const BigramHashCase& shape : {
             BigramHashCase{.rows = 1, .tokens = 1, .trigram = trigram},
             BigramHashCase{.rows = 300, .tokens = 7, .buckets = 5, .trigram = trigram},
             BigramHashCase{
                 .rows = 257, .tokens = 50, .buckets = 100001, .first = 52, .trigram = trigram},
         }) {
      EXPECT_EQ(check_bigram_hash({&kernels::bigram_hash}, shape), "") << shape.rows;
    }
  }
}

}  // namespace
}  // namespace pg::kerneltest
