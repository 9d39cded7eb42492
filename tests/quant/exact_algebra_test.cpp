// The Cholesky factor and the eigenvectors that quantisers work with: that they are what they say, with
// the bits of plain loops and whatever the threads.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "quant/method/cholesky.h"
#include "quant/method/fused_product.h"
#include "quant/method/symmetric_eigen.h"
#include "src/base/threads.h"
#include "tests/quant/gptq_reference.h"

namespace pg {
namespace {

constexpr double kUnit = 0x1p-53;

Doubles positive_definite(int64_t n, uint64_t seed) {
  const std::vector<float> hessian = correlated_hessian(n, seed);
  Doubles a(hessian.begin(), hessian.end());
  for (size_t i = 0; i < static_cast<size_t>(n); ++i) a[i * static_cast<size_t>(n + 1)] += 0.5;
  return a;
}

// The definition in cholesky.h, line by line.
Doubles plain_cholesky(Doubles a, size_t n) {
  for (size_t j = 0; j < n; ++j) {
    for (size_t i = j; i < n; ++i) {
      double s = a[i * n + j];
      for (size_t k = 0; k < j; ++k) s = std::fma(-a[i * n + k], a[j * n + k], s);
      a[i * n + j] = i == j ? std::sqrt(s) : s * (1 / a[j * n + j]);
    }
  }
  return a;
}

TEST(FusedProduct, HasTheBitsOfOneChainAnElement) {
  for (const int64_t k : {0, 1, 7, 64, 70}) {
    for (const int64_t rows : {1, 2, 5}) {
      const std::vector<float> a = random_matrix(rows, k, 1),
                               b = random_matrix(k, kFusedColumns, 2);
      std::vector<float> c = random_matrix(rows, kFusedColumns, 3), want = c;
      for (size_t i = 0; i < want.size(); ++i) {
        const size_t r = i / kFusedColumns, j = i % kFusedColumns;
        for (size_t p = 0; p < static_cast<size_t>(k); ++p) {
          want[i] = std::fma(a[r * static_cast<size_t>(k) + p], b[p * kFusedColumns + j], want[i]);
        }
      }
      add_fused_product<float>({a.data(), k, 1}, b.data(), rows, k, c.data());
      EXPECT_EQ(c, want) << rows << " x " << k;
    }
  }
}

TEST(Cholesky, HasTheBitsOfThePlainLoopsWhateverTheThreads) {
  const int before = thread_count();
  for (const int64_t n : {1, 2, 63, 64, 65, 200}) {
    const Doubles a = positive_definite(n, 4), want = plain_cholesky(a, static_cast<size_t>(n));
    for (const int threads : {1, 3}) {
      set_thread_count(threads);
      Doubles found = a;
      ASSERT_TRUE(factor_cholesky(found, n));
      for (int64_t i = 0; i < n; ++i) {
        for (int64_t j = 0; j <= i; ++j) {
          const auto at = static_cast<size_t>(i * n + j);
          ASSERT_EQ(found[at], want[at]) << n << ": " << i << ", " << j;
        }
      }
    }
  }
  set_thread_count(before);
}

TEST(Cholesky, RefusesWhatIsNotPositiveDefinite) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const double broken : {-1.0, 0.0, nan, 1 / 0.0}) {
    for (const size_t place : {0, 70, 99}) {
      Doubles a = positive_definite(100, 5);
      a[place * 101] = broken;
      EXPECT_FALSE(factor_cholesky(a, 100)) << broken << " at " << place;
    }
  }
}

// |A v - l v| <= c n u |A| (Golub and Van Loan 8.3), c = 10.
void check_eigenvectors(const Doubles& a, int64_t n, int64_t count) {
  const Doubles v = leading_eigenvectors(a, n, count);
  ASSERT_EQ(std::ssize(v), n * count);
  double norm = 0;
  for (const double x : a) norm += x * x;
  const double bound = 10 * static_cast<double>(n) * kUnit;
  double last = std::numeric_limits<double>::infinity();
  const auto size = static_cast<size_t>(n);
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    const double* const x = v.data() + i * size;
    for (size_t j = 0; j <= i; ++j) {
      double product = 0;
      for (size_t k = 0; k < size; ++k) product += x[k] * v[j * size + k];
      EXPECT_NEAR(product, i == j ? 1.0 : 0.0, bound) << i << ", " << j;
    }
    Doubles image(size);
    double value = 0, rest = 0;
    for (size_t r = 0; r < size; ++r) {
      for (size_t k = 0; k < size; ++k) image[r] += a[r * size + k] * x[k];
      value += image[r] * x[r];
    }
    for (size_t r = 0; r < size; ++r) rest += std::pow(image[r] - value * x[r], 2);
    EXPECT_LE(std::sqrt(rest), bound * std::sqrt(norm)) << i;
    EXPECT_LE(value, last + bound * std::sqrt(norm)) << i;
    last = value;
  }
}

TEST(SymmetricEigen, GivesTheLargestOfThem) {
  for (const int64_t n : {1, 2, 3, 33, 96}) {
    check_eigenvectors(positive_definite(n, 6), n, std::min<int64_t>(n, 5));
    check_eigenvectors(positive_definite(n, 6), n, n);
  }
}

TEST(SymmetricEigen, TheLargestIsThatOfPowerIteration) {
  const int64_t n = 40;
  const Doubles a = positive_definite(n, 7), v = leading_eigenvectors(a, n, 1);
  Doubles x(static_cast<size_t>(n), 1.0);
  double largest = 0, found = 0;
  for (int turn = 0; turn < 2000; ++turn) {
    Doubles y(x.size());
    for (size_t i = 0; i < a.size(); ++i) y[i / x.size()] += a[i] * x[i % x.size()];
    largest = 0;
    for (const double value : y) largest += value * value;
    largest = std::sqrt(largest);
    for (size_t i = 0; i < x.size(); ++i) x[i] = y[i] / largest;
  }
  for (size_t i = 0; i < a.size(); ++i) found += v[i / x.size()] * a[i] * v[i % x.size()];
  EXPECT_NEAR(found, largest, 1e-9 * largest);
}

TEST(SymmetricEigen, EqualEigenvaluesHaveOrthogonalVectors) {
  const int64_t n = 20;
  Doubles a(static_cast<size_t>(n * n));
  check_eigenvectors(a, n, n);  // zeros
  for (size_t i = 0; i < 20; ++i) a[i * 21] = i < 10 ? 3.0 : 1e-200;
  check_eigenvectors(a, n, n);
  for (size_t i = 0; i < a.size(); ++i) a[i] = 1e150;  // rank 1, of a size whose square overflows
  const Doubles v = leading_eigenvectors(a, n, 1);
  for (const double x : v) EXPECT_NEAR(std::fabs(x), 1 / std::sqrt(20.0), 1e-14);
}

}  // namespace
}  // namespace pg
