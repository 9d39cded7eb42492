#include "tests/simt/ptx/ptx_launch.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstring>

#include "kernels/simt/simt_races.h"
#include "tests/simt/device_memory.h"
#include "tests/simt/ptx/ptx_thread.h"

namespace pg::ptx {
namespace {

uint64_t value_of(Special special) {
  switch (special) {
    case Special::kThreadX:
      return threadIdx.x;
    case Special::kThreadY:
      return threadIdx.y;
    case Special::kThreadZ:
      return threadIdx.z;
    case Special::kBlockX:
      return blockIdx.x;
    case Special::kBlockY:
      return blockIdx.y;
    case Special::kBlockZ:
      return blockIdx.z;
    case Special::kThreadsX:
      return blockDim.x;
    case Special::kThreadsY:
      return blockDim.y;
    case Special::kThreadsZ:
      return blockDim.z;
    case Special::kBlocksX:
      return gridDim.x;
    case Special::kBlocksY:
      return gridDim.y;
    case Special::kBlocksZ:
      return gridDim.z;
  }
  return 0;
}

struct Grid {
  Launch launch;
  std::vector<uint64_t> registers;  // of each thread of a block; blocks run one after another
};

void run_thread(void* context) {
  Grid& grid = *static_cast<Grid*>(context);
  const Function& entry = *grid.launch.entry;
  const size_t index =
      threadIdx.x + size_t{blockDim.x} * (threadIdx.y + size_t{blockDim.y} * threadIdx.z);
  Thread thread;
  thread.registers = grid.registers.data() + index * entry.registers.size();
  thread.function = &entry;
  thread.launch = &grid.launch;
  thread.shared = static_cast<unsigned char*>(simt::dynamic_shared());
  thread.shared_bytes = simt::dynamic_shared_bytes();
  std::memcpy(thread.registers, entry.registers.data(), entry.registers.size() * sizeof(uint64_t));
  for (const auto& [slot, special] : entry.specials) thread.registers[slot] = value_of(special);
  run_function(thread);
}

std::vector<unsigned char> place_arguments(const Function& entry,
                                           std::span<const simt::KernelArgument> arguments) {
  bool is_same = arguments.size() == entry.parameters.size();
  std::vector<unsigned char> block;
  for (size_t i = 0; is_same && i < arguments.size(); ++i) {
    const Parameter& parameter = entry.parameters[i];
    is_same = parameter.bytes == arguments[i].bytes;
    block.resize(parameter.offset + parameter.bytes);
    if (is_same) {
      std::memcpy(block.data() + parameter.offset, arguments[i].value, parameter.bytes);
    }
  }
  if (!is_same) {
    throw simt::LaunchError(
        fmt::format("{} takes other parameters in {}", entry.name, entry.path()));
  }
  return block;
}

}  // namespace

void PtxKernels::launch_entry(const std::string& name, dim3 grid, dim3 block, size_t shared_bytes,
                              std::span<const simt::KernelArgument> arguments) {
  const Function& entry = modules_.entry(name);
  ++launches_[name];
  const size_t threads = size_t{block.x} * block.y * block.z;
  if (entry.max_threads != 0 && threads > entry.max_threads) {
    throw simt::LaunchError(fmt::format("invalid launch: {} threads in a block, {} is made for {}",
                                        threads, name, entry.max_threads));
  }
  const std::vector<unsigned char> parameters = place_arguments(entry, arguments);
  Grid context;
  context.launch = {.parameters = parameters.data(),
                    .parameter_bytes = parameters.size(),
                    .entry = &entry,
                    .are_accesses_watched = simt::are_accesses_watched()};
  context.registers.resize(threads * entry.registers.size());
  kerneltest::begin_launch();
  simt::run_grid(grid, block, entry.shared_arrays.size() + shared_bytes, &run_thread, &context);
}

void PtxKernels::launch(const void* kernel, dim3 grid, dim3 block, size_t shared_bytes,
                        std::span<const simt::KernelArgument> arguments) {
  std::string& name = names_[kernel];
  if (name.empty()) {
    Dl_info symbol;
    if (dladdr(kernel, &symbol) == 0 || symbol.dli_sname == nullptr || symbol.dli_saddr != kernel) {
      throw simt::LaunchError("a kernel has no symbol; kernels stand in a named namespace");
    }
    name = symbol.dli_sname;
  }
  launch_entry(name, grid, block, shared_bytes, arguments);
}

}  // namespace pg::ptx
