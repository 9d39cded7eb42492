// Recording and replay of plans. What a plan starts from is in plan_leaves.cpp, the ops in
// plan_ops.cpp, the arena in plan_place.cpp; gradients in gradient/, inspection in inspect/.
#include "src/plan/plan.h"

#include <cstring>

#include "src/base/check.h"
#include "src/plan/download_floats.h"

namespace pg {

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
  // <parts>
  call.at_front = at_front_;
  // </parts>
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
    const TensorInfo& written = tensors_[static_cast<size_t>(ref.id)];
    if (call.writes.size() == 1) call.rows = written.rows;
    if (call.label.empty()) call.label = written.name;
  }
  check_call(call);
  for (const int id : call.writes) {
    tensors_[static_cast<size_t>(id)].last_write = index;
    owner(id).last_write = index;
  }
  calls_.push_back(std::move(call));
}

In Plan::in(Tensor t) const {
  if (!t) return {};
  return {info(t).data, info(t).dtype, stride(t.id)};
}

int64_t Plan::stride(int id) const {
  return tensors_[static_cast<size_t>(id)].base < 0 ? 0 : owner(id).cols;
}

In Plan::rows_in(Tensor t, const RunArgs& args) const {
  In rows = in(t);
  if (t) rows.data = static_cast<const uint8_t*>(rows.data) + row_bytes(t.id, args.first);
  return rows;
}

Out Plan::out(const OutRef& ref, const RunArgs& args) const {
  if (ref.id < 0) return {};
  const TensorInfo& t = tensors_[static_cast<size_t>(ref.id)];
  return {static_cast<uint8_t*>(t.data) + row_bytes(ref.id, args.first), t.dtype,
          ref.adds || (ref.adds_across_runs && args.accumulate), stride(ref.id)};
}

int64_t Plan::row_bytes(int id, int64_t rows) const {
  return rows * owner(id).cols * static_cast<int64_t>(dtype_bytes(owner(id).dtype));
}

void Plan::keep(Tensor t) { info(t).kept = true; }

void Plan::finish(Tensor loss) {
  PG_CHECK(!finished_, "finish() twice");
  if (loss) record_gradients(loss);
  rules_.clear();
  finished_ = true;
  place_tensors();
}

void Plan::run(bool accumulate) {
  PG_CHECK(finished_, "run() before finish()");
  accumulates_ = accumulate;
  Ops& ops = weights_->device().ops();
  // <train_gpt>
  for (Repetition run(weights_->device(), kept_[accumulate ? 1 : 0]); run.is_due();)
    // </train_gpt>
    for (const OpCall& call : calls_) run_call(ops, call);
}

void Plan::run_call(Ops& ops, const OpCall& call) const {
  call.run(ops, {accumulates_, 0, call.rows});
}

void Plan::run_rows(int64_t sequence, int64_t first, int64_t count) {
  PG_CHECK(finished_ && memory_ == Memory::kRows, "run_rows() of a plan that keeps no rows");
  Ops& ops = weights_->device().ops();
  for (const OpCall& call : calls_) {
    int64_t skipped = sequence - call.rows;  // positions before its first row
    // <parts>
    if (call.at_front) skipped = 0;
    // </parts>
    const int64_t begin = std::max<int64_t>(first - skipped, 0);
    int64_t end = first + count - skipped;
    // <parts>
    end = std::min(end, call.rows);
    // </parts>
    if (begin < end) call.run(ops, {false, begin, end - begin});
  }
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

}  // namespace pg
