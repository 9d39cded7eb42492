// Machines that `train_gpt plan` knows, and what kernels reach on them, with the source of each figure.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>

namespace pg {

struct Hardware {
  std::string_view name;  // as in --hardware
  int64_t gpus = 1;
  int64_t memory_bytes = 0;  // of each
  double dollars_per_hour = 0;
};

// What one H100 reaches by a set of kernels. Operations are counted as a plan does: attention causal,
// its backward pass 5/2 of the forward one.
struct KernelRates {
  std::string_view name;  // as in --kernels
  std::string_view source;
  double linear_flops_per_s = 0;           // forward, with what is added to it
  double linear_backward_flops_per_s = 0;  // dx and dw
  double attention_flops_per_s = 0, attention_backward_flops_per_s = 0;
  double pass_bytes_per_s = 0;   // ops that memory bounds: read plus written
  double passes_of_a_block = 0;  // over [B*T, D] bf16, beside products and attention; 0: the plan's
  double optimizer_flops_per_s = 0;  // Newton-Schulz, a bank at once
  double exchange_bytes_per_s = 0;   // reduce-scatter and all-gather, bf16 parameters counted once
  double host_share = 0;             // of the step, in which the GPU waits for its host
  double launches_per_s = 0;         // of kernels that do next to nothing; 0: counted in host_share
};

std::span<const Hardware> list_hardware();
std::span<const KernelRates> list_kernel_rates();

// Throws Error with the names that there are.
const Hardware& find_hardware(std::string_view name);
const KernelRates& find_kernel_rates(std::string_view name);

}  // namespace pg
