// Launches by PTX: the launchers, the executor and the tests are those of the native kernels, and
// what a thread executes is what nvcc made of the kernel.
#pragma once
#include <map>
#include <span>
#include <string>
#include <utility>

#include "kernels/simt/simt_executor.h"
#include "tests/simt/ptx/ptx_modules.h"

namespace pg::ptx {

class PtxKernels final : public simt::KernelSubstitute {
 public:
  explicit PtxKernels(Modules modules) : modules_(std::move(modules)) {}

  // Finds the entry by the kernel's symbol, which the program must export (-rdynamic).
  void launch(const void* kernel, dim3 grid, dim3 block, size_t shared_bytes,
              std::span<const simt::KernelArgument> arguments) override;
  void launch_entry(const std::string& name, dim3 grid, dim3 block, size_t shared_bytes,
                    std::span<const simt::KernelArgument> arguments);

  Modules& modules() { return modules_; }
  // How often each entry was launched.
  const std::map<std::string, int64_t>& launches() const { return launches_; }

 private:
  Modules modules_;
  std::map<const void*, std::string> names_;
  std::map<std::string, int64_t> launches_;
};

}  // namespace pg::ptx
