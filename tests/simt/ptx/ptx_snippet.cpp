#include "tests/simt/ptx/ptx_snippet.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cstring>

#include "tests/simt/kernel_harness.h"
#include "tests/simt/ptx/ptx_launch.h"

namespace pg::ptx {
namespace {

constexpr std::string_view kEntry = R"(
.version 9.0
.target sm_80
.address_size 64
{}
.visible .entry snippet(
	.param .u64 snippet_param_0,
	.param .u64 snippet_param_1
)
.maxntid 1024, 1, 1
{{
	.reg .pred 	%p<64>;
	.reg .b16 	%h<64>;
	.reg .b32 	%r<64>;
	.reg .f32 	%f<64>;
	.reg .b64 	%d<64>;
	.reg .f64 	%g<64>;
	ld.param.u64 	%d0, [snippet_param_0];
	ld.param.u64 	%d1, [snippet_param_1];
	mov.u32 	%r0, %tid.x;
	mul.wide.u32 	%d63, %r0, 8;
	add.s64 	%d0, %d0, %d63;
	mul.wide.u32 	%d63, %r0, 16;
	add.s64 	%d1, %d1, %d63;
{}
	ret;
}}
)";

template <class T>
struct Result;
template <>
struct Result<bool> {
  static constexpr const char* kStore = "selp.u32 %r63, 1, 0, %p1; st.global.u32 [%d0], %r63;";
};
template <>
struct Result<uint16_t> {
  static constexpr const char* kStore = "st.global.u16 [%d0], %h1;";
};
template <>
struct Result<uint32_t> {
  static constexpr const char* kStore = "st.global.u32 [%d0], %r1;";
};
template <>
struct Result<uint64_t> {
  static constexpr const char* kStore = "st.global.u64 [%d0], %d1;";
};
template <>
struct Result<float> {
  static constexpr const char* kStore = "st.global.f32 [%d0], %f1;";
};
template <>
struct Result<double> {
  static constexpr const char* kStore = "st.global.f64 [%d0], %g1;";
};

}  // namespace

std::vector<uint64_t> run_snippet(const Snippet& snippet, std::vector<uint64_t> inputs) {
  Modules modules;
  modules.add("snippet.ptx", fmt::format(kEntry, snippet.before, snippet.body));
  PtxKernels kernels(std::move(modules));
  inputs.resize(2 * size_t{snippet.threads});
  const kerneltest::DeviceArray<uint64_t> out(std::vector<uint64_t>(snippet.threads)), in(inputs);
  const uint64_t* const out_data = out.data();
  const uint64_t* const in_data = in.data();
  const auto arguments = std::to_array<simt::KernelArgument>(
      {{&out_data, sizeof out_data}, {&in_data, sizeof in_data}});
  kernels.launch_entry("snippet", dim3(1), dim3(snippet.threads), snippet.shared_bytes, arguments);
  return out.fetch();
}

template <class T>
T evaluate(const std::string& instructions) {
  const uint64_t bits = run_snippet({.body = instructions + Result<T>::kStore})[0];
  T value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
template bool evaluate<bool>(const std::string&);
template uint16_t evaluate<uint16_t>(const std::string&);
template uint32_t evaluate<uint32_t>(const std::string&);
template uint64_t evaluate<uint64_t>(const std::string&);
template float evaluate<float>(const std::string&);
template double evaluate<double>(const std::string&);

std::string constant(float value) {
  return fmt::format("0f{:08X}", std::bit_cast<uint32_t>(value));
}
std::string constant(double value) {
  return fmt::format("0d{:016X}", std::bit_cast<uint64_t>(value));
}

}  // namespace pg::ptx
