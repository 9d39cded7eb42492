// Seeded bugs in the kernels that look up, move and mix whole rows: each must be caught by the checks
// that the product's kernels pass.
#include <gtest/gtest.h>

#include <span>

#include "tests/simt/mutants.h"

namespace pg::kerneltest {
namespace {

// Small enough that what a mutant overwrites stays inside the guards or working memory.
constexpr EmbeddingCase kSortCases[] = {
    {.rows = 1100, .vocab = 3000},
};
constexpr EmbeddingCase kEmbeddingCases[] = {
    {.rows = 1100, .vocab = 50, .dim = 1},
    {.rows = 300, .vocab = 7, .dim = 8},
    {.rows = 2, .vocab = 2, .dim = 2056},
};
constexpr BigramHashCase kBigramHashCases[] = {
    {.rows = 300, .tokens = 7, .buckets = 5, .first = 9},
    {.rows = 30, .tokens = 7, .buckets = 5, .trigram = true},
};
constexpr RowMixCase kRowMixCases[] = {
    {.rows = 1, .tokens = 5, .dim = 9, .first = 7, .width = 3},
    {.rows = 40, .tokens = 10, .dim = 16, .width = 4},
    {.rows = 49, .tokens = 45, .dim = 35, .memory = 4, .bag = 8, .width = 35},
    {.rows = 12, .tokens = 12, .dim = 520, .width = 2},
};

constexpr RowPartsCase kRowPartsCases[] = {
    {.rows = 65, .cols = 33, .gap = 7},
    {.rows = 17, .cols = 24, .gap = 8, .offset = 1},
};

template <class Family, class Case>
void expect_caught(const std::vector<Mutant<Family>>& mutants,
                   std::string (*check)(const Family&, const Case&), std::span<const Case> cases,
                   const Family& product) {
  for (const Mutant<Family>& mutant : mutants) {
    std::string error;
    for (const Case& shape : cases) {
      if (error.empty()) error = check(mutant.family, shape);
    }
    EXPECT_NE(error, "") << "not caught: " << mutant.name;
    testing::Test::RecordProperty(mutant.name, error);  // how, for --gtest_output=xml
  }
  for (const Case& shape : cases) EXPECT_EQ(check(product, shape), "") << "the product";
}

TEST(MutantsOfRows, SortsAreAllCaught) {
  expect_caught<SortFamily, EmbeddingCase>(sort_ids_mutants(), &check_sort, kSortCases,
                                           {&kernels::sort_ids});
}

TEST(MutantsOfRows, EmbeddingsAreAllCaught) {
  using namespace kernels;
  expect_caught<EmbeddingFamily, EmbeddingCase>(
      embedding_mutants(), &check_embedding, kEmbeddingCases,
      {&embed<float>, &embed<bf16>, &embed_backward<float, float>, &embed_backward<float, bf16>,
       &embed_backward<bf16, bf16>});
}

TEST(MutantsOfRows, BigramHashesAreAllCaught) {
  expect_caught<BigramHashFamily, BigramHashCase>(bigram_hash_mutants(), &check_bigram_hash,
                                                  kBigramHashCases, {&kernels::bigram_hash});
}

TEST(MutantsOfRows, BagsAreAllCaught) {
  using namespace kernels;
  expect_caught<BagsFamily, RowMixCase>(
      bags_mutants(), &check_bags, kRowMixCases,
      {&mean_bags<float>, &mean_bags<bf16>, &mean_bags_backward<float>, &mean_bags_backward<bf16>});
}

TEST(MutantsOfRows, PrependedRowsAreAllCaught) {
  using namespace kernels;
  expect_caught<PrependRowsFamily, RowMixCase>(
      prepend_rows_mutants(), &check_prepend_rows, kRowMixCases,
      {&prepend_rows<float>, &prepend_rows<bf16>, &prepend_rows_backward<float>,
       &prepend_rows_backward<bf16>});
}

TEST(MutantsOfRows, SmearsAreAllCaught) {
  using namespace kernels;
  expect_caught<SmearFamily, RowMixCase>(
      smear_mutants(), &check_smear, kRowMixCases,
      {&smear<float>, &smear<bf16>, &smear_backward<float>, &smear_backward<bf16>});
}

TEST(MutantsOfRows, TokenSmearsAreAllCaught) {
  using namespace kernels;
  expect_caught<TokenSmearFamily, RowMixCase>(
      token_smear_mutants(), &check_token_smear, kRowMixCases,
      {&token_smear<float>, &token_smear<bf16>, &token_smear_backward<float>,
       &token_smear_backward<bf16>});
}

TEST(MutantsOfRows, ColumnSumsAreAllCaught) {
  expect_caught<ColumnSumsFamily, RowPartsCase>(
      column_sums_mutants(), &check_column_sums, kRowPartsCases,
      {&kernels::sum_chunks<float>, &kernels::sum_chunks<bf16>});
}

TEST(MutantsOfRows, DenseCopiesAreAllCaught) {
  expect_caught<DenseRowsFamily, RowPartsCase>(dense_rows_mutants(), &check_dense_rows,
                                               kRowPartsCases, {&kernels::copy_to_dense<bf16>});
}

TEST(MutantsOfRows, AdditionsToProductsAreAllCaught) {
  expect_caught<ProductRowsFamily, RowPartsCase>(
      product_rows_mutants(), &check_product_rows, kRowPartsCases,
      {&kernels::add_product<float>, &kernels::add_product<bf16>});
}

}  // namespace
}  // namespace pg::kerneltest
