// What a plan can tell of itself, for training, calibration and benchmarks.
#include <algorithm>
#include <chrono>
#include <cmath>

#include "src/base/check.h"
#include "src/device/op_table/op_list.h"
#include "src/plan/download_floats.h"
#include "src/plan/plan.h"

namespace pg {

void Plan::run_profiled(std::vector<OpProfile>& profile, bool accumulate) {
  PG_CHECK(finished_, "run() before finish()");
  profile.resize(kOps.size());
  accumulates_ = accumulate;
  Device& device = weights_->device();
  for (const OpCall& call : calls_) {
    const auto start = std::chrono::steady_clock::now();
    run_call(device.ops(), call);
    device.synchronize();
    OpProfile& op = profile[static_cast<size_t>(call.op)];
    op.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    op.flops += call.flops;
    op.bytes += call.bytes;
    ++op.calls;
  }
}

std::string Plan::find_non_finite() {
  Device& device = weights_->device();
  std::vector<float> values;
  const auto is_finite = [&](int id) {
    const TensorInfo& t = tensors_[static_cast<size_t>(id)];
    const TensorInfo& whole = owner(id);
    if (t.dtype == DType::kI32) return true;
    values.resize(static_cast<size_t>(whole.elements()));
    download_floats(device, whole.data, whole.dtype, values);
    for (int64_t row = 0; row < t.rows; ++row) {  // of a view, its own columns
      const auto begin = values.begin() + row * whole.cols + t.first_column;
      if (!std::all_of(begin, begin + t.cols, [](float v) { return std::isfinite(v); })) {
        return false;
      }
    }
    return true;
  };
  for (size_t i = 0; i < tensors_.size(); ++i) {
    if (tensors_[i].place == Place::kWeight && !is_finite(static_cast<int>(i))) {
      return tensors_[i].name;
    }
  }
  for (const OpCall& call : calls_) {
    run_call(device.ops(), call);
    device.synchronize();
    for (const int id : call.writes) {
      if (is_finite(id)) continue;
      return tensors_[static_cast<size_t>(id)].name + " (written by " +
             std::string(op_info(call.op).name) + ")";
    }
  }
  return "";
}

void Plan::read_ids(Tensor t, std::span<int32_t> out) {
  const TensorInfo& tensor = info(t);
  PG_CHECK((tensor.kept || tensor.place == Place::kOwned) && tensor.dtype == DType::kI32 &&
               static_cast<int64_t>(out.size()) == tensor.elements(),
           "only kept ids can be read, and only whole");
  weights_->device().synchronize();
  weights_->device().download(out.data(), tensor.data, out.size_bytes());
}

std::vector<OpProfile> Plan::count_work() const {
  std::vector<OpProfile> work(kOps.size());
  for (const OpCall& call : calls_) {
    OpProfile& op = work[static_cast<size_t>(call.op)];
    op.flops += call.flops;
    op.bytes += call.bytes;
    ++op.calls;
  }
  return work;
}

double Plan::memory_bound_bytes(bool of_blocks) const {
  double total = 0;
  for (const OpCall& call : calls_) {
    if (!is_bound_by_arithmetic(call.op) && (call.in_block || !of_blocks)) total += call.bytes;
  }
  return total;
}

double Plan::flops() const {
  double total = 0;
  for (const OpCall& call : calls_) total += call.flops;
  return total;
}

}  // namespace pg
