// Kernel tests on a GPU: what kernel_harness.h asks for, through the CUDA runtime. Skips where
// there is none.
#include <cuda_runtime_api.h>

#include <stdexcept>

#include "tests/simt/kernel_harness.h"

namespace pg::kerneltest {
namespace {

void check(cudaError_t status) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // clears it, so that the next test starts clean
  throw std::runtime_error(cudaGetErrorString(status));
}

}  // namespace

std::string reason_to_skip() {
  int devices = 0;
  const cudaError_t status = cudaGetDeviceCount(&devices);
  if (status != cudaSuccess) return cudaGetErrorString(status);
  return devices == 0 ? "no GPU" : "";
}

void* allocate_device(size_t bytes) {
  void* memory = nullptr;
  check(cudaMalloc(&memory, bytes));
  return memory;
}
void release_device(void* memory) { cudaFree(memory); }
void upload(void* device_to, const void* host_from, size_t bytes) {
  check(cudaMemcpy(device_to, host_from, bytes, cudaMemcpyHostToDevice));
}
void download(void* host_to, const void* device_from, size_t bytes) {
  check(cudaMemcpy(host_to, device_from, bytes, cudaMemcpyDeviceToHost));
}

std::string for_each_schedule(const std::function<std::string()>& run) {
  for (int repetition = 0; repetition < 2; ++repetition) {
    std::string error;
    try {
      error = run();
      check(cudaGetLastError());
    } catch (const std::runtime_error& launch) {
      error = launch.what();
    }
    if (!error.empty()) return "repetition " + std::to_string(repetition) + ": " + error;
  }
  return "";
}

}  // namespace pg::kerneltest
