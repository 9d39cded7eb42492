#include "harness/bench/bench_profile.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/device/op_table/op_list.h"

namespace pg {

void print_profile(const std::vector<OpProfile>& profile, const DevicePeak& peak) {
  std::vector<size_t> order;
  double total_s = 0;
  for (size_t i = 0; i < profile.size(); ++i) {
    if (profile[i].calls > 0) order.push_back(i);
    total_s += profile[i].seconds;
  }
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return profile[a].seconds > profile[b].seconds; });
  fmt::print("  {:<24} {:>7} {:>9} {:>7} {:>10} {:>8} {:>8}\n", "op", "calls", "ms", "share",
             "GFLOP/s", "% peak", "GB/s");
  for (const size_t i : order) {
    const OpProfile& op = profile[i];
    fmt::print("  {:<24} {:>7} {:>9.2f} {:>6.1f}% {:>10.0f} {:>7.0f}% {:>8.1f}\n", kOps[i].name,
               op.calls, 1e3 * op.seconds, 100 * op.seconds / total_s, op.flops / op.seconds / 1e9,
               100 * op.flops / op.seconds / peak.matmul_flops_per_s, op.bytes / op.seconds / 1e9);
  }
}

}  // namespace pg
