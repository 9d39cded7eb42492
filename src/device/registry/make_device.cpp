#include "src/device/registry/make_device.h"

#include <array>
#include <oneapi/dnnl/dnnl.hpp>

#include "src/base/error.h"
#include "src/device/cpu/cpu_device.h"
#include "src/device/forward/fenced_device.h"
#include "src/device/reference/reference_device.h"
#include "src/device/registry/load_cuda.h"
#include "src/device/simt/simt_device.h"

namespace pg {
namespace {

struct NamedDevice {
  std::string_view name;
  std::unique_ptr<Device> (*make)(int place);
};

constexpr auto kDevices = std::to_array<NamedDevice>({
    {"cpu", [](int) { return make_cpu_device(cpu_has_fast_bf16() ? DType::kBF16 : DType::kF32); }},
    {"cpu:bf16", [](int) { return make_cpu_device(DType::kBF16); }},
    {kExactDevice, [](int) { return make_cpu_device(DType::kF32); }},
    {"reference", [](int) { return make_reference_device(DType::kF32); }},
    {"reference:f64", [](int) { return make_reference_device(DType::kF64); }},
    {"cuda", [](int place) { return load_cuda_device("cuda", DType::kBF16, place); }},
    {"cuda:cudnn", [](int place) { return load_cuda_device("cuda:cudnn", DType::kBF16, place); }},
    {"cuda:cudnn_forward",
     [](int place) { return load_cuda_device("cuda:cudnn_forward", DType::kBF16, place); }},
    {"cuda:f32", [](int place) { return load_cuda_device("cuda:f32", DType::kF32, place); }},
    {"fenced", [](int) { return make_fenced_device(make_device("cpu")); }},
    {"simt", [](int) { return make_simt_device(DType::kBF16); }},
    {"simt:f32", [](int) { return make_simt_device(DType::kF32); }},
});

}  // namespace

std::unique_ptr<Device> make_device(std::string_view name, int place) {
  std::string present;
  for (const NamedDevice& device : kDevices) {
    if (device.name == name) return device.make(place);
    if (!present.empty()) present += ", ";
    present += device.name;
  }
  throw Error("unknown device: \"" + std::string(name) + "\"; use one of " + present);
}

int count_places(std::string_view name) {
  return name.starts_with("cuda") ? count_cuda_devices() : 0;
}

std::string describe_device_libraries() {
  const dnnl_version_t& version = *dnnl_version();
  return "oneDNN " + std::to_string(version.major) + '.' + std::to_string(version.minor) + '.' +
         std::to_string(version.patch);
}

}  // namespace pg
