#include "tests/simt/row_parts_check.h"

#include "tests/simt/launcher_check.h"

namespace pg::kerneltest {
namespace {

using Values = std::vector<double>;

enum : uint64_t { kStreamPartial = 71, kStreamRows, kStreamProduct, kStreamAddend, kStreamPrior };

size_t at(int64_t i) { return static_cast<size_t>(i); }

template <class T>
std::string check_sum_chunks(decltype(&kernels::sum_chunks<T>) sum_chunks, const RowPartsCase& c,
                             bool is_scaled) {
  constexpr float kScale = -1.75f;
  const bool accumulate = is_scaled;
  const auto partial = normal_values<float>(c.rows * c.cols, 1.0, kStreamPartial);
  const auto prior = normal_values<T>(c.cols, 1.0, kStreamPrior);
  Values want(at(c.cols), 0.0);
  for (int64_t row = 0; row < c.rows; ++row) {
    for (int64_t col = 0; col < c.cols; ++col) {
      want[at(col)] += as_double(partial[at(row * c.cols + col)]);
    }
  }
  for (size_t col = 0; col < want.size(); ++col) {
    if (is_scaled) want[col] *= static_cast<double>(kScale);
    if (accumulate) want[col] += as_double(prior[col]);
  }
  Outputs outputs;
  return for_each_schedule([&]() -> std::string {
    const DeviceArray<float> of_chunks(partial), scale({kScale});
    const DeviceArray<T> sums(prior, c.offset);
    sum_chunks({sums.data(), accumulate}, of_chunks.data(), is_scaled ? scale.data() : nullptr,
               c.rows, c.cols, nullptr);
    return outputs.check("sums", sums, want, static_cast<double>(c.rows));
  });
}

// y and the addend as columns of a wider tensor, whose other columns are left alone.
template <class T>
std::string check_add_product(decltype(&kernels::add_product<T>) add_product, const RowPartsCase& c,
                              bool has_addend) {
  constexpr double kLargest = 8.0;  // of a term
  const bool accumulate = !has_addend;
  const int64_t stride = c.cols + c.gap;
  const auto product = normal_values<float>(c.rows * c.cols, 1.0, kStreamProduct);
  const auto addend = normal_values<T>(c.rows * stride, 1.0, kStreamAddend);
  const auto prior = normal_values<T>(c.rows * stride, 1.0, kStreamPrior);
  Values want = as_doubles(prior);
  for (int64_t row = 0; row < c.rows; ++row) {
    for (int64_t col = 0; col < c.cols; ++col) {
      const size_t place = at(row * stride + col);
      want[place] = as_double(product[at(row * c.cols + col)]) +
                    (has_addend ? as_double(addend[place]) : 0.0) +
                    (accumulate ? as_double(prior[place]) : 0.0);
    }
  }
  Outputs outputs;
  return for_each_schedule([&]() -> std::string {
    const DeviceArray<float> sums(product);
    const DeviceArray<T> y(prior), added(addend, c.offset);
    add_product({y.data(), stride, accumulate}, sums.data(),
                {has_addend ? added.data() : nullptr, stride}, c.rows, c.cols, nullptr);
    return outputs.check("y", y, want, kLargest);
  });
}

}  // namespace

std::string check_column_sums(const ColumnSumsFamily& family, const RowPartsCase& c) {
  std::string error;
  for (const bool is_scaled : {false, true}) {
    if (error.empty()) error = check_sum_chunks<float>(family.sum_f32, c, is_scaled);
    if (error.empty()) error = check_sum_chunks<bf16>(family.sum_bf16, c, is_scaled);
  }
  return error;
}

std::string check_dense_rows(const DenseRowsFamily& family, const RowPartsCase& c) {
  const int64_t stride = c.cols + c.gap;
  const auto rows = normal_values<bf16>(c.rows * stride, 1.0, kStreamRows);
  Values want;
  for (int64_t i = 0; i < c.rows * c.cols; ++i) {
    want.push_back(as_double(rows[at(i / c.cols * stride + i % c.cols)]));
  }
  Outputs outputs;
  return for_each_schedule([&]() -> std::string {
    const DeviceArray<bf16> from(rows, c.offset), dense(std::vector<bf16>(want.size(), bf16(7.0f)));
    family.copy(dense.data(), from.data(), stride, c.rows, c.cols, nullptr);
    return outputs.check("dense", dense, want, 0.0, /*storage=*/0.0);
  });
}

std::string check_product_rows(const ProductRowsFamily& family, const RowPartsCase& c) {
  std::string error;
  for (const bool has_addend : {false, true}) {
    if (error.empty()) error = check_add_product<float>(family.add_f32, c, has_addend);
    if (error.empty()) error = check_add_product<bf16>(family.add_bf16, c, has_addend);
  }
  return error;
}

}  // namespace pg::kerneltest
