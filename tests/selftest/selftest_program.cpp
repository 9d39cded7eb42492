// `train_gpt selftest`, a program of its own, since the cases belong to the tests.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>

#include "harness/bench/bench_train.h"
#include "src/base/error.h"
#include "src/device/registry/make_device.h"
#include "tests/selftest/self_test.h"

namespace pg {
namespace {

// What the machine can time in seconds; null for a device that stands in for another.
const char* choose_shape(double flops_per_s) {
  constexpr double kOfGpu = 2e13, kOfCpu = 2e10;
  if (flops_per_s >= kOfGpu) return "record_gpu";
  return flops_per_s >= kOfCpu ? "small" : nullptr;
}

int self_test(const std::string& name, SelfTestOptions options) {
  const std::unique_ptr<Device> device = make_device(name);
  const char* const shape = choose_shape(device->measure_matmul());
  options.places = count_places(name);
  options.make_at = [&](int place) { return make_device(name, place); };
  options.measure_speed = [&] {
    if (shape == nullptr) {
      fmt::print("\nspeed: not measured, this device is too slow to train on\n");
      return;
    }
    fmt::print("\nspeed, as train_gpt bench train --shape {} --profile gives it:\n", shape);
    BenchTrainOptions bench;
    bench.device = name;
    bench.shape = shape;
    bench.steps = 3;
    bench.profile = true;
    run_bench_train(bench);
  };
  if (name == "cuda") options.make_library = [] { return make_device("cuda:cudnn"); };
  return run_self_test(*device, options);
}

}  // namespace
}  // namespace pg

int main(int argc, char** argv) {
  std::string device = "cpu";
  pg::SelfTestOptions options;
  CLI::App app("whether a device computes what the reference does, and how fast", "selftest");
  app.add_option("--device", device, "device to test")->capture_default_str();
  app.add_option("--filter", options.filter, "only ops with this text in their names");
  app.add_flag("--ops-only", options.ops_only, "no training and no speed");
  CLI11_PARSE(app, argc, argv);
  try {
    const int code = pg::self_test(device, options);
    if (std::fflush(stdout) != 0) throw pg::Error("what was printed is lost");
    return code;
  } catch (const std::exception& error) {
    fmt::print(stderr, "selftest: {}\n", error.what());
    return 1;
  }
}
