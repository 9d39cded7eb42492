// Left-looking by blocks of 64 columns: what earlier columns take off a block is a matrix product;
// its own 64 are then finished on the block's transpose, whose rows are vectors over 64 rows of L.
#include "quant/method/cholesky.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "quant/method/fused_product.h"
#include "src/base/check.h"
#include "src/base/threads.h"

namespace pg {
namespace {

constexpr int64_t kBlock = kFusedColumns;
constexpr int64_t kTile = kBlock * kBlock;

class Factorisation {
 public:
  Factorisation(double* a, int64_t n) : a_(a), n_(n), earlier_(at(kBlock * n)), diagonal_(kTile) {}

  bool run() {
    for (int64_t begin = 0; begin < n_; begin += kBlock) {
      start_block(begin);
      if (!factor_diagonal()) return false;
      const int64_t below = begin_ + width_;
      parallel_ranges(n_ - below, kBlock, [&](int64_t first, int64_t last) {
        finish_rows(below + first, last - first);
      });
    }
    return true;
  }

 private:
  static size_t at(int64_t index) { return static_cast<size_t>(index); }

  // The earlier columns of the block's rows, negative and transposed.
  void start_block(int64_t begin) {
    begin_ = begin;
    width_ = std::min(kBlock, n_ - begin);
    for (int64_t j = 0; j < width_; ++j) {
      const double* const row = a_ + (begin + j) * n_;
      for (int64_t k = 0; k < begin; ++k) earlier_[at(k * kBlock + j)] = -row[k];
    }
  }

  // tile [rows, kBlock] = the block's columns of these rows less what the earlier ones take off.
  void load_tile(int64_t first, int64_t rows, double* tile) const {
    for (int64_t r = 0; r < rows; ++r) {
      std::copy_n(a_ + (first + r) * n_ + begin_, width_, tile + r * kBlock);
    }
    add_fused_product<double>({a_ + first * n_, n_, 1}, earlier_.data(), rows, begin_, tile);
  }

  // diagonal_[j, i] = -L_ij of the block, and inverse_[j] = 1 / L_jj.
  bool factor_diagonal() {
    std::vector<double> tile(kTile);
    load_tile(begin_, width_, tile.data());
    for (int64_t j = 0; j < width_; ++j) {
      const double square = tile[at(j * kBlock + j)];
      if (!(square > 0) || !std::isfinite(square)) return false;
      const double root = std::sqrt(square);
      inverse_[j] = 1 / root;
      tile[at(j * kBlock + j)] = root;
      double* const column = diagonal_.data() + j * kBlock;
      for (int64_t i = j + 1; i < width_; ++i) {
        double* const row = tile.data() + i * kBlock;
        row[j] *= inverse_[j];
        column[i] = -row[j];
        for (int64_t next = j + 1; next <= i; ++next) {
          row[next] = std::fma(row[j], column[next], row[next]);
        }
      }
    }
    for (int64_t i = 0; i < width_; ++i) {
      std::copy_n(tile.data() + i * kBlock, i + 1, a_ + (begin_ + i) * n_ + begin_);
    }
    return true;
  }

  void finish_rows(int64_t first, int64_t rows) {
    std::vector<double> tile(kTile), columns(kTile);  // [rows, block] and [block, rows]
    load_tile(first, rows, tile.data());
    for (int64_t j = 0; j < kBlock; ++j) {
      for (int64_t r = 0; r < kBlock; ++r) columns[at(j * kBlock + r)] = tile[at(r * kBlock + j)];
    }
    for (int64_t j = 0; j < width_; ++j) {
      double* const column = columns.data() + j * kBlock;
      for (int64_t r = 0; r < kBlock; ++r) column[r] *= inverse_[j];
      for (int64_t next = j + 1; next < width_; ++next) {
        add_fused_steps<1, 1, double>({diagonal_.data() + j * kBlock + next, 1, 1}, column,
                                      columns.data() + next * kBlock);
      }
    }
    for (int64_t r = 0; r < rows; ++r) {
      double* const row = a_ + (first + r) * n_ + begin_;
      for (int64_t j = 0; j < width_; ++j) row[j] = columns[at(j * kBlock + r)];
    }
  }

  double* a_;
  int64_t n_, begin_ = 0, width_ = 0;
  std::vector<double> earlier_, diagonal_;
  double inverse_[kBlock] = {};
};

}  // namespace

bool factor_cholesky(std::span<double> a, int64_t n) {
  PG_CHECK(std::ssize(a) == n * n, "a must be [n, n]");
  return Factorisation(a.data(), n).run();
}

}  // namespace pg
