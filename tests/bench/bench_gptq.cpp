// Seconds to factor every Hessian and round every matrix of the 36M stack (11 layers, 512 wide,
// 67 matrices), with Hessians of correlated random inputs. OMP_NUM_THREADS sets the threads.
// Usage: bench_gptq [rounds]
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

#include "quant/method/gptq.h"
#include "src/base/rng.h"
#include "src/base/threads.h"

namespace pg {
namespace {

struct Layer {
  const char* name;
  int64_t count, rows, cols;
  bool new_input;  // q, k and v share a factor
};

constexpr Layer kLayers[] = {
    {"q", 11, 512, 512, true},       {"k", 11, 256, 512, false},  {"v", 11, 256, 512, false},
    {"out", 11, 512, 512, true},     {"up", 11, 2048, 512, true}, {"down", 11, 512, 2048, true},
    {"tok_emb", 1, 8192, 512, true},
};

double now_s() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

std::vector<float> random_values(int64_t count, uint64_t seed, double spread) {
  const CounterRng rng(seed, kStreamTest);
  std::vector<float> values(static_cast<size_t>(count));
  parallel_ranges(count, 1 << 14, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      values[static_cast<size_t>(i)] =
          static_cast<float>(spread * rng.normal(static_cast<uint64_t>(i)));
    }
  });
  return values;
}

// Covariance of inputs that share 16 strong directions: I + F^T F with F [16, cols].
std::vector<float> make_hessian(int64_t cols) {
  constexpr int64_t kDirections = 16;
  const std::vector<float> f = random_values(kDirections * cols, 1, 1.0);
  std::vector<float> hessian(static_cast<size_t>(cols * cols));
  for (int64_t i = 0; i < cols; ++i) {
    for (int64_t j = 0; j < cols; ++j) {
      float sum = i == j;
      for (int64_t d = 0; d < kDirections; ++d) {
        sum += f[static_cast<size_t>(d * cols + i)] * f[static_cast<size_t>(d * cols + j)];
      }
      hessian[static_cast<size_t>(i * cols + j)] = sum;
    }
  }
  return hessian;
}

struct Totals {
  double factor_s = 0, round_s = 0;
};

Totals run_stack(bool print) {
  Totals totals;
  GptqFactor factor;
  for (const Layer& layer : kLayers) {
    const std::vector<float> hessian = make_hessian(layer.cols);
    const std::vector<float> values = random_values(layer.rows * layer.cols, 2, 0.05);
    const std::vector<float> scales(static_cast<size_t>(layer.rows), 0.02f);
    Totals own;
    for (int64_t i = 0; i < layer.count; ++i) {
      const double begin_s = now_s();
      if (layer.new_input) factor = factor_hessian(hessian, layer.cols, 0.01);
      const double factored_s = now_s();
      quantize_gptq(values, layer.rows, layer.cols, factor, {.max_code = 31, .row_scales = scales});
      own.factor_s += factored_s - begin_s;
      own.round_s += now_s() - factored_s;
    }
    if (print) {
      std::printf("%-8s %2d x [%4d, %4d]  factor %6.3f s  round %6.3f s\n", layer.name,
                  static_cast<int>(layer.count), static_cast<int>(layer.rows),
                  static_cast<int>(layer.cols), own.factor_s, own.round_s);
    }
    totals.factor_s += own.factor_s;
    totals.round_s += own.round_s;
  }
  return totals;
}

void run_bench(int rounds) {
  std::vector<double> totals_s;
  for (int i = 0; i < rounds; ++i) {
    const Totals totals = run_stack(i == 0);
    totals_s.push_back(totals.factor_s + totals.round_s);
    std::printf("all 67 matrices, %d threads: factor %.3f s + round %.3f s = %.3f s\n",
                thread_count(), totals.factor_s, totals.round_s, totals_s.back());
  }
  std::sort(totals_s.begin(), totals_s.end());
  std::printf("best %.3f s, median %.3f s of %d\n", totals_s.front(), totals_s[totals_s.size() / 2],
              rounds);
}

}  // namespace
}  // namespace pg

int main(int argc, char** argv) {
  pg::run_bench(argc > 1 ? std::atoi(argv[1]) : 10);
  return 0;
}
