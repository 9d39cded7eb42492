#include "src/device/registry/load_cuda.h"

#include <dlfcn.h>

#include <filesystem>
#include <system_error>

#include "src/base/error.h"

namespace pg {
namespace {

constexpr const char* kModule = "device_cuda.so";

using Maker = Device* (*)(const char* name, bool is_bf16, int place, const char** refusal);

// Of the module, by name.
void* load_symbol(const char* name) {
  std::error_code unknown;  // leaves the path empty: the loader then looks where it always does
  const std::filesystem::path folder =
      std::filesystem::read_symlink("/proc/self/exe", unknown).parent_path();
  std::string path = (folder / kModule).string();
  // Tests lie one folder below the program.
  if (!std::filesystem::exists(path, unknown)) path = (folder.parent_path() / kModule).string();
  void* symbol = nullptr;
  if (void* const module = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) {  // never unloaded
    symbol = ::dlsym(module, name);
  }
  if (symbol != nullptr) return symbol;
  const char* const reason = ::dlerror();
  throw Error(std::string("no CUDA: \"") + (reason != nullptr ? reason : "") +
              "\"; install the CUDA toolkit and build again, or use --device cpu");
}

}  // namespace

std::unique_ptr<Device> load_cuda_device(const std::string& name, DType compute, int place) {
  const char* refusal = nullptr;
  const auto make = reinterpret_cast<Maker>(load_symbol("pg_make_cuda_device"));
  std::unique_ptr<Device> device(make(name.c_str(), compute == DType::kBF16, place, &refusal));
  if (device == nullptr) throw Error(refusal);
  return device;
}

int count_cuda_devices() {
  return reinterpret_cast<int (*)()>(load_symbol("pg_count_cuda_devices"))();
}

std::string why_no_cuda() {
  try {
    load_cuda_device("cuda", DType::kBF16, 0);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace pg
