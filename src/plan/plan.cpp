// Recording, replay and inspection of plans. What a plan starts from is in plan_leaves.cpp, the ops
// with their gradient rules in plan_rules.cpp, the arena in plan_place.cpp.
#include "src/plan/plan.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

#include "src/base/check.h"

namespace pg {

namespace {

// The values of a real tensor as floats; allocates only where the device keeps another type.
void download_floats(Device& device, const void* from, DType dtype, std::span<float> out) {
  if (dtype == DType::kF32) {
    device.download(out.data(), from, out.size_bytes());
    return;
  }
  const size_t size = dtype_bytes(dtype);
  std::vector<uint8_t> raw(out.size() * size);
  device.download(raw.data(), from, raw.size());
  for (size_t i = 0; i < out.size(); ++i) {
    if (dtype == DType::kBF16) {
      bf16 value;
      std::memcpy(&value, raw.data() + size * i, size);
      out[i] = static_cast<float>(value);
    } else {
      double value;
      std::memcpy(&value, raw.data() + size * i, size);
      out[i] = static_cast<float>(value);
    }
  }
}

}  // namespace

Plan::Plan(Weights& weights, Memory memory, Gradients gradients)
    : weights_(&weights), memory_(memory), gradients_(gradients) {}

Tensor Plan::add_tensor(TensorInfo tensor) {
  PG_CHECK(!finished_, "a finished plan cannot grow");
  tensors_.push_back(std::move(tensor));
  return {static_cast<int>(tensors_.size()) - 1};
}

const Plan::TensorInfo& Plan::owner(int id) const {
  const TensorInfo& t = tensors_[static_cast<size_t>(id)];
  return t.base < 0 ? t : tensors_[static_cast<size_t>(t.base)];
}
Plan::TensorInfo& Plan::owner(int id) {
  return const_cast<TensorInfo&>(static_cast<const Plan*>(this)->owner(id));
}

Tensor Plan::make_activation(const char* op, int64_t rows, int64_t cols) {
  TensorInfo t;
  t.name = std::string(op) + "#" + std::to_string(calls_.size());
  t.rows = rows;
  t.cols = cols;
  t.dtype = activation();
  t.needs_gradient = true;
  return add_tensor(std::move(t));
}

Tensor Plan::make_f32(const char* op, int64_t rows, int64_t cols) {
  const Tensor t = make_activation(op, rows, cols);
  info(t).dtype = activation() == DType::kF64 ? DType::kF64 : DType::kF32;
  info(t).needs_gradient = false;
  return t;
}

void Plan::record(OpId op, double flops, std::vector<Tensor> reads, std::vector<OutRef> writes,
                  std::function<void(Ops&, const RunArgs&)> run) {
  OpCall call;
  call.op = op;
  call.run = std::move(run);
  call.flops = flops;
  call.in_block = in_block_;
  const int index = static_cast<int>(calls_.size());
  const auto touch = [&](int id) {
    TensorInfo& memory = owner(id);
    if (memory.first_call < 0) memory.first_call = index;
    memory.last_call = index;
    call.bytes += static_cast<double>(tensors_[static_cast<size_t>(id)].bytes());
  };
  for (const Tensor t : reads) {
    if (!t) continue;
    touch(t.id);
    call.reads.push_back(t.id);
  }
  for (const OutRef& ref : writes) {
    if (ref.id < 0) continue;
    touch(ref.id);
    call.writes.push_back(ref.id);
    if (call.label.empty()) call.label = tensors_[static_cast<size_t>(ref.id)].name;
  }
  check_call(call);
  for (const int id : call.writes) {
    tensors_[static_cast<size_t>(id)].last_write = index;
    owner(id).last_write = index;
  }
  calls_.push_back(std::move(call));
}

std::string Plan::describe_call(const OpCall& call) {
  return std::string(op_info(call.op).name) + " of \"" + call.label + "\"";
}

void Plan::check_call(const OpCall& call) const {
  const auto name = [&](int id) { return "\"" + tensors_[static_cast<size_t>(id)].name + "\""; };
  const auto overlap = [&](int id, int other) {
    const int base = tensors_[static_cast<size_t>(id)].base;
    const int other_base = tensors_[static_cast<size_t>(other)].base;
    return id == other || base == other || other_base == id;  // views of one tensor never overlap
  };
  for (size_t i = 0; i < call.writes.size(); ++i) {
    const int id = call.writes[i];
    const auto is_same = [&](int other) { return overlap(id, other); };
    PG_CHECK(std::none_of(call.reads.begin(), call.reads.end(), is_same),
             (describe_call(call) + " writes " + name(id) + ", which it reads").c_str());
    PG_CHECK(
        std::none_of(call.writes.begin(), call.writes.begin() + static_cast<int64_t>(i), is_same),
        (describe_call(call) + " writes " + name(id) + " twice").c_str());
    PG_CHECK(
        !tensors_[static_cast<size_t>(id)].needs_gradient || op_info(call.op).gradient.exists(),
        (describe_call(call) + " needs a gradient, for which there is no rule").c_str());
  }
  if (!rule_output_) return;
  const TensorInfo& y = info(rule_output_);
  for (const int id : call.reads) {
    if (id != y.gradient) continue;
    const int writer = tensors_[static_cast<size_t>(id)].last_write;
    PG_CHECK(writer == y.gradient_call,
             (describe_call(call) + " reads the gradient of \"" + y.name + "\" after " +
              describe_call(calls_[static_cast<size_t>(writer)]) + " wrote into its buffer")
                 .c_str());
  }
}

void Plan::add_rule(Tensor output, std::function<void()> rule) {
  rules_.push_back([this, output, in_block = in_block_, rule = std::move(rule)] {
    in_block_ = in_block;
    // An output nothing depends on has no gradient to pass back.
    if (info(output).gradient < 0 || !info(output).gradient_written) return;
    begin_rule(output);
    rule();
    rule_output_ = {};
  });
}

// All that depends on `output` has given its contribution: the first of its rules finds the gradient
// complete, and so must the others.
void Plan::begin_rule(Tensor output) {
  TensorInfo& y = info(output);
  bool is_covered = y.view_columns == 0 || y.view_columns == y.cols;
  for (const TensorInfo& t : tensors_) {
    is_covered &= t.base != output.id || t.gradient_written;
  }
  PG_CHECK(
      is_covered,
      ("the gradient of \"" + y.name + "\" has holes: its views do not give all of it").c_str());
  if (!y.rule_has_begun) y.gradient_call = tensors_[static_cast<size_t>(y.gradient)].last_write;
  y.rule_has_begun = true;
  rule_output_ = output;
}

In Plan::in(Tensor t) const {
  if (!t) return {};
  return {info(t).data, info(t).dtype, stride(t.id)};
}

int64_t Plan::stride(int id) const {
  return tensors_[static_cast<size_t>(id)].base < 0 ? 0 : owner(id).cols;
}

Out Plan::out(const OutRef& ref, const RunArgs& args) const {
  if (ref.id < 0) return {};
  const TensorInfo& t = tensors_[static_cast<size_t>(ref.id)];
  return {t.data, t.dtype, ref.adds || (ref.adds_across_runs && args.accumulate), stride(ref.id)};
}

Plan::OutRef Plan::contribute(Tensor t) {
  if (!t || !info(t).needs_gradient) return {};
  PG_CHECK(!info(t).rule_has_begun,
           ("the gradient of \"" + info(t).name + "\" has been used already").c_str());
  PG_CHECK(info(t).view_columns == 0,
           ("the gradient of \"" + info(t).name + "\" comes through its views").c_str());
  if (info(t).gradient < 0) info(t).gradient = add_gradient_of(t).id;
  const OutRef ref{info(t).gradient, info(t).gradient_written, info(t).place == Place::kWeight};
  info(t).gradient_written = true;
  return ref;
}

Tensor Plan::add_gradient_of(Tensor t) {
  TensorInfo gradient;
  gradient.name = info(t).name + ".grad";
  gradient.rows = info(t).rows;
  gradient.cols = info(t).cols;
  gradient.dtype = activation();
  if (is_view(t)) {
    const Tensor base{info(t).base};
    if (info(base).gradient < 0) {
      const Tensor whole = add_gradient_of(base);
      info(base).gradient = whole.id;
      info(base).gradient_written = true;  // by its views, all of them: see begin_rule
    }
    gradient.base = info(base).gradient;
    gradient.first_column = info(t).first_column;
  }
  return add_tensor(std::move(gradient));
}

bool Plan::pass_gradient(Tensor y, Tensor x) {
  if (gradients_ == Gradients::kCopied) return false;
  if (!info(x).needs_gradient || info(x).gradient >= 0 || info(x).place != Place::kArena)
    return false;
  if (is_view(x) || is_view(y) || info(x).view_columns > 0) return false;
  info(x).gradient = info(y).gradient;
  info(x).gradient_written = true;
  return true;
}

void Plan::keep(Tensor t) { info(t).kept = true; }

void Plan::finish(Tensor loss) {
  PG_CHECK(!finished_, "finish() twice");
  if (loss) {
    // The rule of softcap_xent needs no incoming gradient: d(mean)/d(row) is one constant.
    info(loss).gradient = loss.id;
    info(loss).gradient_written = true;
    loss_rows_ = info(loss).rows;
    loss_gradient_ = make_scalar("loss_gradient");
    upload_loss_gradient();
    for (size_t i = rules_.size(); i-- > 0;) rules_[i]();
  }
  rules_.clear();
  finished_ = true;
  place_tensors();
}

Tensor Plan::make_scalar(std::string name) {
  const float zero = 0.0f;
  return constant(std::move(name), 1, 1, {&zero, 1});
}

void Plan::set_loss_scale(float scale) {
  if (scale == loss_scale_) return;
  loss_scale_ = scale;
  upload_loss_gradient();
}

void Plan::upload_loss_gradient() {
  if (!loss_gradient_) return;
  const float value = loss_scale_ / static_cast<float>(loss_rows_);
  weights_->device().upload(info(loss_gradient_).data, &value, sizeof value);
}

void Plan::run(bool accumulate) {
  PG_CHECK(finished_, "run() before finish()");
  last_run_ = {accumulate};
  Ops& ops = weights_->device().ops();
  for (const OpCall& call : calls_) call.run(ops, last_run_);
}

void Plan::run_profiled(std::vector<OpProfile>& profile, bool accumulate) {
  PG_CHECK(finished_, "run() before finish()");
  profile.resize(kOps.size());
  last_run_ = {accumulate};
  Device& device = weights_->device();
  for (const OpCall& call : calls_) {
    const auto start = std::chrono::steady_clock::now();
    call.run(device.ops(), last_run_);
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
    call.run(device.ops(), last_run_);
    device.synchronize();
    for (const int id : call.writes) {
      if (is_finite(id)) continue;
      return tensors_[static_cast<size_t>(id)].name + " (written by " +
             std::string(op_info(call.op).name) + ")";
    }
  }
  return "";
}

void Plan::write_ids(Tensor t, std::span<const int32_t> values) {
  PG_CHECK(
      info(t).dtype == DType::kI32 && static_cast<int64_t>(values.size()) == info(t).elements(),
      "ids of another shape");
  weights_->device().upload(info(t).data, values.data(), values.size_bytes());
}

void Plan::read(Tensor t, int64_t first_element, std::span<float> out) {
  const TensorInfo& tensor = info(t);
  PG_CHECK((tensor.kept || tensor.place == Place::kOwned) &&
               (tensor.dtype == DType::kF32 || tensor.dtype == DType::kF64),
           "only kept f32 tensors can be read");
  PG_CHECK(
      first_element >= 0 && first_element + static_cast<int64_t>(out.size()) <= tensor.elements(),
      "read past the end of a tensor");
  weights_->device().synchronize();
  const size_t first_byte = static_cast<size_t>(first_element) * dtype_bytes(tensor.dtype);
  download_floats(weights_->device(), static_cast<const uint8_t*>(tensor.data) + first_byte,
                  tensor.dtype, out);
}

void Plan::read_ids(Tensor t, std::span<int32_t> out) {
  const TensorInfo& tensor = info(t);
  PG_CHECK((tensor.kept || tensor.place == Place::kOwned) && tensor.dtype == DType::kI32 &&
               static_cast<int64_t>(out.size()) == tensor.elements(),
           "only kept ids can be read, and only whole");
  weights_->device().synchronize();
  weights_->device().download(out.data(), tensor.data, out.size_bytes());
}

const double* Plan::device_mean(Tensor t) const {
  PG_CHECK(info(t).dtype == DType::kF64, "a mean is f64");
  return static_cast<const double*>(info(t).data);
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
