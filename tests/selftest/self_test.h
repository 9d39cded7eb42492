// `train_gpt selftest`: whether a device computes what the reference does, and how fast, on one page
// that a user can send. The cases are the op test's, the training is the trajectory test's.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "src/device/device.h"
#include "src/device/op_id.h"
#include "tests/selftest/link_check.h"

namespace pg {

// What is wrong with one op; no faults when all is well. An op that throws ends with that as its fault.
struct OpVerdict {
  OpId op = {};
  int64_t cases = 0;
  double seconds = 0;
  std::vector<std::string> faults;
};

// The op over the op test's cases and those of a record's sizes: values within their bounds, nothing
// written beside the outputs, the same bits when run again and on one thread.
OpVerdict check_op(Device& device, OpId op);

// How far the losses of twenty steps are from the fp64 reference's, and how far they may be; whether
// work that the device keeps and repeats (a GPU's graphs) has the bits of work given anew.
struct TrainingVerdict {
  double stray_nats = 0, bound_nats = 0;
  bool repeats_have_same_bits = false;
  int64_t repeats = 0;  // how often it did
  bool is_right() const {
    return stray_nats <= bound_nats && repeats_have_same_bits;
  }  // NaN is not
};
TrainingVerdict check_training(Device& device);

// Prints how a library's attention on the same GPU compares with the device's own, and whether it is
// right; one that cannot be made is said, with the reason, and is not wrong.
using LibraryMaker = std::function<std::unique_ptr<Device>()>;
bool check_library(Device& device, const LibraryMaker& make);

struct SelfTestOptions {
  std::string filter;                   // only ops with this in their names
  bool ops_only = false;                // no training, no speed, no library
  std::function<void()> measure_speed;  // prints its part of the page; absent where it says nothing
  LibraryMaker make_library;            // absent where there is none to compare with
  int places = 0;                       // of devices like this, for ranks: GPUs; 0: none are meant
  MakeDeviceAt make_at = {};            // the device of a place
};

// Prints the page to stdout, op by op as they are done. Gives the exit code: 1 when something is
// wrong. Throws Error when no op has the filter in its name.
int run_self_test(Device& device, const SelfTestOptions& options);

}  // namespace pg
