#include "harness/planner/hardware.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <string>
#include <vector>

#include "src/base/error.h"

namespace pg {
namespace {

constexpr int64_t kH100Bytes = 85'045'870'592;  // as its driver says: 79.2 GiB
constexpr double kDollarsPerH100Hour =
    21.52 / 8;  // RunPod's price of eight, parameter-golf PR #821

constexpr auto kHardware = std::to_array<Hardware>({
    {"1xh100", 1, kH100Bytes, kDollarsPerH100Hour},
    {"2xh100", 2, kH100Bytes, 2 * kDollarsPerH100Hour},
    {"4xh100", 4, kH100Bytes, 4 * kDollarsPerH100Hour},
    {"8xh100", 8, kH100Bytes, 8 * kDollarsPerH100Hour},
});

// The public scripts' step of 83.5 ms, by the shares that Nsight gave (PR #1105): 15.67 TFLOP of
// products in 27.2 ms, 7.94 TFLOP of attention in 16.8 ms, 35.6 ms of elementwise kernels, which at
// 2.8 TB/s are 89 passes a block, 54 MB of bf16 gradients and parameters exchanged in 1.3 ms, 4.1 %
// of it spent on launches; Newton-Schulz of a bank at once, 0.314 TFLOP in 1.3 ms.
constexpr double kPublicProducts = 576e12, kPublicExchange = 54e6 / 1.3e-3,
                 kPublicNewtonSchulz = 0.314e12 / 1.3e-3;

// In a graph 80 small kernels take 70 us, launched one by one 260 (CUDA.jl's documentation).
constexpr double kGraphLaunches = 80 / 70e-6;

constexpr auto kRates = std::to_array<KernelRates>({
    {.name = "own",
     .source = "this program's on one H100, 2026-11-27 (docs/cuda.md); exchange as the public one",
     .linear_flops_per_s = 411e12,
     .linear_backward_flops_per_s = 585e12,
     .attention_flops_per_s = 279e12,
     .attention_backward_flops_per_s = 223e12,
     .pass_bytes_per_s = 2.0e12,
     .optimizer_flops_per_s = kPublicNewtonSchulz,
     .exchange_bytes_per_s = kPublicExchange,
     .launches_per_s = kGraphLaunches},
    {.name = "cudnn",
     .source =
         "products of the public scripts, cuDNN's attention (head size 64), passes at 2.8 TB/s: "
         "what the plan takes where each part is as fast as the best that is public",
     .linear_flops_per_s = kPublicProducts,
     .linear_backward_flops_per_s = kPublicProducts,
     .attention_flops_per_s = 334e12,
     .attention_backward_flops_per_s = 395e12,
     .pass_bytes_per_s = 2.8e12,
     .optimizer_flops_per_s = kPublicNewtonSchulz,
     .exchange_bytes_per_s = kPublicExchange,
     .launches_per_s = kGraphLaunches},
    {.name = "public",
     .source = "the public scripts' (PyTorch compiled, FlashAttention-3), by Nsight's shares of PR "
               "#1105",
     .linear_flops_per_s = kPublicProducts,
     .linear_backward_flops_per_s = kPublicProducts,
     .attention_flops_per_s = 371e12,
     .attention_backward_flops_per_s = 422e12,
     .pass_bytes_per_s = 2.8e12,
     .passes_of_a_block = 89,
     .optimizer_flops_per_s = kPublicNewtonSchulz,
     .exchange_bytes_per_s = kPublicExchange,
     .host_share = 0.041},
});

template <class Row>
const Row& find_row(std::span<const Row> rows, std::string_view name, const char* option) {
  std::vector<std::string_view> names;
  for (const Row& row : rows) {
    if (row.name == name) return row;
    names.push_back(row.name);
  }
  throw Error(fmt::format("plan: {} \"{}\" is not known; there are {}", option, name,
                          fmt::join(names, ", ")));
}

}  // namespace

std::span<const Hardware> list_hardware() { return kHardware; }
std::span<const KernelRates> list_kernel_rates() { return kRates; }

const Hardware& find_hardware(std::string_view name) {
  return find_row(list_hardware(), name, "--hardware");
}
const KernelRates& find_kernel_rates(std::string_view name) {
  return find_row(list_kernel_rates(), name, "--kernels");
}

}  // namespace pg
