// How close the cpu's products come to the machine's peak, measured beside each of them because the
// cores may be shared. Usage: bench_cpu_ops [filter] [cpu:bf16|cpu:exact]; OMP_NUM_THREADS sets the
// threads. "bench_cpu_ops products" compares our f32 product with the library's instead,
// "bench_cpu_ops attention-ways" attention in bf16 by tile kernels and by the library's products.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/bf16.h"
#include "src/base/rng.h"
#include "src/base/threads.h"
#include "src/device/cpu/cpu_attention.h"
#include "src/device/cpu/cpu_matmul.h"
#include "src/device/cpu/cpu_tile_kernels.h"
#include "src/device/registry/make_device.h"

namespace pg {
namespace {

double now_s() {
  timespec now{};
  clock_gettime(thread_count() == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

struct Timing {
  double best_s, median_s;
};

// At least 10 rounds and 0.1 s.
Timing time_rounds(const std::function<void()>& round) {
  constexpr size_t kMinRounds = 10;
  constexpr double kMinDuration_s = 0.1;
  round();
  std::vector<double> rounds_s;
  const double start_s = now_s();
  while (rounds_s.size() < kMinRounds || now_s() - start_s < kMinDuration_s) {
    const double begin_s = now_s();
    round();
    rounds_s.push_back(now_s() - begin_s);
  }
  std::sort(rounds_s.begin(), rounds_s.end());
  return {rounds_s.front(), rounds_s[rounds_s.size() / 2]};
}

class Bench {
 public:
  Bench(Device& device, std::string filter) : device_(device), filter_(std::move(filter)) {}

  void report(const std::string& name, double flops, const std::function<void()>& round) {
    if (name.find(filter_) == std::string::npos) return;
    const double peak_before = device_.measure_peak().matmul_flops_per_s;
    const Timing timing = time_rounds(round);
    const double peak = std::max(peak_before, device_.measure_peak().matmul_flops_per_s);
    std::printf("%-46s %9.1f us best %9.1f us median %7.1f GFLOP/s %5.1f %% of %.0f\n",
                name.c_str(), timing.best_s * 1e6, timing.median_s * 1e6,
                flops / timing.best_s * 1e-9, 100.0 * flops / timing.best_s / peak, peak * 1e-9);
  }

  void bench_linear(int64_t rows, int64_t in, int64_t out, DType result) {
    const DType type = device_.compute_dtype();
    const DeviceBuffer x = random(rows * in, type), w = random(out * in, type);
    const DeviceBuffer y = random(rows * out, type), dx = random(rows * in, type);
    const DeviceBuffer y_result = random(rows * out, result), dw = random(out * in, DType::kF32);
    const double flops = 2.0 * static_cast<double>(rows * in * out);
    const std::string shape = std::string(" ") + std::to_string(rows) + "x" + std::to_string(in) +
                              "x" + std::to_string(out);
    Ops& ops = device_.ops();
    report("linear" + shape + " -> " + dtype_name(result), flops, [&] {
      ops.linear({y_result.data(), result}, {x.data(), type}, {w.data(), type}, {}, rows, in, out);
    });
    report("linear_dx" + shape, flops, [&] {
      ops.linear_dx({dx.data(), type}, {y.data(), type}, {w.data(), type}, rows, in, out);
    });
    report("linear_dw" + shape + " +=", flops, [&] {
      ops.linear_dw({dw.data(), DType::kF32, true}, {y.data(), type}, {x.data(), type}, rows, in,
                    out);
    });
  }

  // Counts the multiply-adds at and below the diagonal, T^2/2 per head.
  void bench_attention(const AttentionShape& s) {
    const DType type = device_.compute_dtype();
    const int64_t queries = s.rows() * s.heads * s.head_dim,
                  keys = s.rows() * s.kv_heads * s.head_dim;
    const DeviceBuffer q = random(queries, type), k = random(keys, type), v = random(keys, type);
    const DeviceBuffer y = random(queries, type), dy = random(queries, type);
    const DeviceBuffer dq = random(queries, type), dk = random(keys, type), dv = random(keys, type);
    const DeviceBuffer lse = random(s.batch * s.heads * s.tokens, DType::kF32);
    const auto in = [&](const DeviceBuffer& b) { return In{b.data(), type}; };
    const auto out = [&](const DeviceBuffer& b) { return Out{b.data(), type}; };
    const double flops =
        2.0 * static_cast<double>(s.batch * s.heads * s.tokens * s.tokens * s.head_dim);
    const std::string shape = " B" + std::to_string(s.batch) + " T" + std::to_string(s.tokens) +
                              " H" + std::to_string(s.heads) + " K" + std::to_string(s.kv_heads) +
                              " S" + std::to_string(s.head_dim);
    Ops& ops = device_.ops();
    report("attention" + shape, flops, [&] {
      ops.attention(out(y), {lse.data(), DType::kF32}, in(q), in(k), in(v), s);
    });
    report("attention_backward" + shape, 2.5 * flops, [&] {
      ops.attention_backward(out(dq), out(dk), out(dv), in(dy), in(y), {lse.data(), DType::kF32},
                             in(q), in(k), in(v), s);
    });
  }

  // The norm of a mix in one pass and in the two that it stands for, as a block begins with it.
  void bench_mix_rmsnorm(int64_t rows, int64_t dim) {
    constexpr float kScale = 0.5f, kEps = 1e-6f;
    const DType type = device_.compute_dtype();
    const auto stream = [&] { return random(rows * dim, type); };
    const DeviceBuffer x = stream(), z = stream(), y = stream(), n = stream();
    const DeviceBuffer dx = stream(), dz = stream(), dy = stream(), dn = stream();
    const DeviceBuffer a = random(dim, DType::kF32), b = random(dim, DType::kF32);
    const DeviceBuffer da = random(dim, DType::kF32), db = random(dim, DType::kF32);
    const DeviceBuffer rstd = random(rows, DType::kF32);
    const auto in = [&](const DeviceBuffer& t) { return In{t.data(), type}; };
    const auto out = [&](const DeviceBuffer& t, bool add = false) {
      return Out{t.data(), type, add};
    };
    const In fa{a.data(), DType::kF32}, fb{b.data(), DType::kF32};
    const Out sum_a{da.data(), DType::kF32, true}, sum_b{db.data(), DType::kF32, true};
    const auto elements = static_cast<double>(rows * dim);
    const std::string shape = " " + std::to_string(rows) + "x" + std::to_string(dim);
    Ops& ops = device_.ops();
    report("mix, rmsnorm" + shape, 6 * elements, [&] {
      ops.mix(out(y), in(x), fa, in(z), fb, rows, dim);
      ops.rmsnorm(out(n), {rstd.data(), DType::kF32}, in(y), kScale, kEps, rows, dim);
    });
    report("mix_rmsnorm" + shape, 6 * elements, [&] {
      ops.mix_rmsnorm(out(y), out(n), {rstd.data(), DType::kF32}, in(x), fa, in(z), fb, kScale,
                      kEps, rows, dim);
    });
    report("rmsnorm_backward, mix_backward" + shape, 12 * elements, [&] {
      ops.rmsnorm_backward(out(dy, true), in(dn), in(y), {rstd.data(), DType::kF32}, kScale, rows,
                           dim);
      ops.mix_backward(out(dx), out(dz, true), sum_a, sum_b, in(dy), in(x), fa, in(z), fb, rows,
                       dim);
    });
    report("mix_rmsnorm_backward" + shape, 12 * elements, [&] {
      ops.mix_rmsnorm_backward(out(dx), out(dz, true), sum_a, sum_b, in(dy), in(dn), in(x), fa,
                               in(z), fb, {rstd.data(), DType::kF32}, kScale, rows, dim);
    });
  }

  void bench_newton_schulz(int64_t rows, int64_t cols) {
    const std::vector<NewtonSchulzCoefficients> steps(5, {3.4445f, -4.7750f, 2.0315f});
    const DeviceBuffer u = random(rows * cols, DType::kF32);
    const auto side = static_cast<double>(std::min(rows, cols));
    const auto length = static_cast<double>(std::max(rows, cols));
    const double flops =
        static_cast<double>(steps.size()) * (4.0 * side * side * length + 2.0 * side * side * side);
    report("newton_schulz x5 " + std::to_string(rows) + "x" + std::to_string(cols), flops, [&] {
      device_.ops().newton_schulz({u.data(), DType::kF32}, steps, NewtonSchulzStart::kNorm,
                                  {1, rows, cols, rows * cols});
    });
  }

 private:
  DeviceBuffer random(int64_t count, DType type) {
    const CounterRng rng(1, kStreamTest);
    DeviceBuffer buffer(device_, static_cast<size_t>(count) * dtype_bytes(type));
    std::vector<float> floats(static_cast<size_t>(count));
    for (size_t i = 0; i < floats.size(); ++i)
      floats[i] = static_cast<float>(rng.uniform(i)) - 0.5f;
    if (type == DType::kF32) {
      device_.upload(buffer.data(), floats.data(), buffer.bytes());
      return buffer;
    }
    std::vector<bf16> halves(floats.size());
    for (size_t i = 0; i < floats.size(); ++i) halves[i] = bf16(floats[i]);
    device_.upload(buffer.data(), halves.data(), buffer.bytes());
    return buffer;
  }

  Device& device_;
  std::string filter_;
};

// Our f32 product and the library's in turns, the best of many tries: one that a neighbour disturbs
// does not count.
void compare_products() {
  struct Shape {
    int64_t m, k, n;
    double ours_s = 1e30, library_s = 1e30;
  };
  std::vector<Shape> shapes = {
      {8192, 192, 576}, {8192, 576, 192}, {8192, 192, 1024}, {8192, 192, 192}, {2048, 512, 1536}};
  constexpr int kTries = 60;
  constexpr int64_t kMost = 8192 * 1024, kLibraryRows = 256;
  std::vector<float> a(kMost, 0.5f), b(kMost, 0.25f), c(kMost);
  CpuMatmul ours(thread_count());
  OnednnMatmul library(thread_count());
  const auto time = [](double& best_s, const auto& round) {
    const double begin_s = now_s();
    round();
    best_s = std::min(best_s, now_s() - begin_s);
  };
  for (int i = 0; i < kTries; ++i) {
    for (Shape& s : shapes) {
      const Product product = {.m = s.m, .n = s.n, .k = s.k, .transpose_b = true};
      time(s.ours_s, [&] { ours.run_parallel(product, a.data(), b.data(), c.data()); });
      time(s.library_s, [&] {
        parallel_ranges(s.m, kLibraryRows, [&](int64_t begin, int64_t end) {
          Product rows = product;
          rows.m = end - begin;
          library.run(rows, a.data() + begin * s.k, b.data(), c.data() + begin * s.n);
        });
      });
    }
  }
  std::printf("%d threads, %s, best of %d, GFLOP/s\n", thread_count(), ours.isa_name(DType::kF32),
              kTries);
  for (const Shape& s : shapes) {
    const double flops = 2e-9 * static_cast<double>(s.m * s.k * s.n);
    std::printf("%5lldx%lldx%lld: ours %.0f, the library's %.0f, ratio %.2f\n",
                static_cast<long long>(s.m), static_cast<long long>(s.k),
                static_cast<long long>(s.n), flops / s.ours_s, flops / s.library_s,
                s.library_s / s.ours_s);
  }
}

std::vector<bf16> random_bf16(int64_t count, uint64_t seed) {
  const CounterRng rng(seed, kStreamTest);
  std::vector<bf16> out(static_cast<size_t>(count));
  for (size_t i = 0; i < out.size(); ++i) out[i] = bf16(static_cast<float>(rng.uniform(i)) - 0.5f);
  return out;
}

// Attention by tile kernels and by the library's products in turns, beside the best product.
void compare_attention(Device& device) {
  constexpr int kTries = 40;
  if (!has_tile_isa(TileIsa::kAvx512Bf16)) {
    std::printf("this processor lacks AVX-512 bf16, which attention-ways compares\n");
    return;
  }
  const TileKernel& tiles = tile_kernel(TileIsa::kAvx512Bf16);
  CpuMatmul matmul(thread_count());
  CpuScratch tile_scratch(thread_count()), product_scratch(thread_count());
  const auto time = [](double& best_s, const auto& round) {
    const double begin_s = now_s();
    round();
    best_s = std::min(best_s, now_s() - begin_s);
  };
  double peak = 0.0;
  for (const AttentionShape& s :
       {AttentionShape{16, 256, 4, 2, 64, 0.125f}, AttentionShape{2, 2048, 8, 4, 64, 0.125f}}) {
    const int64_t queries = s.rows() * s.heads * s.head_dim;
    const int64_t keys = s.rows() * s.kv_heads * s.head_dim;
    std::vector<bf16> q = random_bf16(queries, 1), k = random_bf16(keys, 2),
                      v = random_bf16(keys, 3), dy = random_bf16(queries, 4), y(q), dq(q), dk(k),
                      dv(v);
    std::vector<float> lse(static_cast<size_t>(s.rows() * s.heads));
    const auto in = [](const std::vector<bf16>& x) { return In{x.data(), DType::kBF16}; };
    const auto out = [](std::vector<bf16>& x) { return Out{x.data(), DType::kBF16}; };
    const In lse_in{lse.data(), DType::kF32};
    const Out lse_out{lse.data(), DType::kF32};
    double best_s[4] = {1e30, 1e30, 1e30, 1e30};
    for (int i = 0; i < kTries; ++i) {
      time(best_s[0], [&] {
        attention_by_products(matmul, product_scratch, out(y), lse_out, in(q), in(k), in(v), s);
      });
      time(best_s[1], [&] {
        attention_by_tiles(tiles, tile_scratch, out(y), lse_out, in(q), in(k), in(v), s);
      });
      time(best_s[2], [&] {
        attention_backward_by_products(matmul, product_scratch, out(dq), out(dk), out(dv), in(dy),
                                       in(y), lse_in, in(q), in(k), in(v), s);
      });
      time(best_s[3], [&] {
        attention_backward_by_tiles(tiles, tile_scratch, out(dq), out(dk), out(dv), in(dy), in(y),
                                    lse_in, in(q), in(k), in(v), s);
      });
      if (i % 4 == 0) peak = std::max(peak, device.measure_matmul());
    }
    const double flops =
        2.0 * static_cast<double>(s.batch * s.heads * s.tokens * s.tokens * s.head_dim);
    const char* const names[] = {"forward, products", "forward, tiles", "backward, products",
                                 "backward, tiles"};
    for (int i = 0; i < 4; ++i) {
      const double rate = flops * (i < 2 ? 1.0 : 2.5) / best_s[i];
      std::printf("T%-5lld %-20s %9.0f us %7.1f GFLOP/s %5.1f %% of %.0f\n",
                  static_cast<long long>(s.tokens), names[i], best_s[i] * 1e6, rate * 1e-9,
                  100.0 * rate / peak, peak * 1e-9);
    }
  }
}

void run_all(Device& device, const std::string& filter) {
  const DevicePeak peak = device.measure_peak();
  std::printf("%s: %.0f GFLOP/s, copy %.1f GB/s\n", peak.description.c_str(),
              peak.matmul_flops_per_s * 1e-9, peak.copy_bytes_per_s * 1e-9);
  Bench bench(device, filter);
  const DType type = device.compute_dtype();
  for (const int64_t rows : {4096, 16384}) {
    for (const auto& [in, out] :
         {std::pair{256, 256}, {256, 768}, {768, 256}, {512, 512}, {512, 1536}, {1536, 512}}) {
      bench.bench_linear(rows, in, out, type);
    }
    bench.bench_linear(rows, 256, 1024, DType::kF32);
  }
  const auto attention = [&](int64_t batch, int64_t tokens, int64_t heads, int64_t kv_heads) {
    bench.bench_attention({batch, tokens, heads, kv_heads, 64, 0.125f});
  };
  attention(16, 256, 4, 2);
  attention(4, 2048, 8, 4);
  attention(1, 4096, 8, 4);
  bench.bench_mix_rmsnorm(4096, 512);
  for (const auto& [rows, cols] :
       {std::pair{256, 256}, {768, 256}, {512, 512}, {512, 1536}, {1536, 512}, {1024, 1024}}) {
    bench.bench_newton_schulz(rows, cols);
  }
}

}  // namespace
}  // namespace pg

int main(int argc, char** argv) {
  if (argc > 1 && std::string(argv[1]) == "products") {
    pg::compare_products();
    return 0;
  }
  if (argc > 1 && std::string(argv[1]) == "attention-ways") {
    pg::compare_attention(*pg::make_device("cpu:bf16"));
    return 0;
  }
  const std::unique_ptr<pg::Device> device = pg::make_device(argc > 2 ? argv[2] : "cpu");
  pg::run_all(*device, argc > 1 ? argv[1] : "");
  return 0;
}
