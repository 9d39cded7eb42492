// Checks implementations of what other launchers give row work to: sums over chunks of rows, dense
// copies, the addition to a product; the product's or mutants', against loops. Each function returns
// the first failure over all schedules, "" when there is none.
#pragma once
#include <string>

#include "kernels/column_sums.h"
#include "kernels/dense_rows.h"
#include "kernels/product_rows.h"

namespace pg::kerneltest {

struct ColumnSumsFamily {
  decltype(&kernels::sum_chunks<float>) sum_f32;
  decltype(&kernels::sum_chunks<bf16>) sum_bf16;
};
struct DenseRowsFamily {
  decltype(&kernels::copy_to_dense<bf16>) copy;
};
struct ProductRowsFamily {
  decltype(&kernels::add_product<float>) add_f32;
  decltype(&kernels::add_product<bf16>) add_bf16;
};

struct RowPartsCase {
  int64_t rows = 1, cols = 1, gap = 0;  // chunks are rows; between rows of what need not be dense
  size_t offset = 0;                    // elements by which that misses 16-byte alignment
};
// In both types; with and without a scale, an addend, accumulation.
std::string check_column_sums(const ColumnSumsFamily& family, const RowPartsCase& c);
std::string check_dense_rows(const DenseRowsFamily& family, const RowPartsCase& c);
std::string check_product_rows(const ProductRowsFamily& family, const RowPartsCase& c);

}  // namespace pg::kerneltest
