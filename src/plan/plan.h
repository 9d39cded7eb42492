// A forward pass recorded once, its gradient from one rule per op, all tensors in one arena,
// replayed without allocation.
//
// Recording: each method below appends a step that will call one op, and remembers the op's
// gradient rule. finish() runs the rules backwards, which appends the backward steps, then gives
// every tensor a place in the arena by its lifetime. Shapes are static: another batch shape or
// phase is another plan over the same Weights.
//
// Gradients: the first contribution to a tensor's gradient overwrites, later ones add, decided
// while recording, so nothing is ever zero-filled. Where an op passes its output's gradient on
// unchanged, both share one buffer.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "src/device/device.h"
#include "src/device/op_list.h"
#include "src/plan/weights.h"

namespace pg {

// A handle to a tensor of a plan; an empty one stands for an absent optional operand.
struct Tensor {
  int id = -1;
  explicit operator bool() const { return id >= 0; }
};

struct LossTensors {
  Tensor loss;  // [rows, 1] f32, nats
  Tensor lse;   // [rows, 1] f32
};

// Time, work and calls of one op within a plan.
struct OpProfile {
  double seconds = 0, flops = 0, bytes = 0;
  int64_t calls = 0;
};

class Plan {
 public:
  // kShared: tensors whose lives do not overlap share memory. kSeparate: every tensor has its own;
  // for the test that placing never changes a number.
  enum class Memory : uint8_t { kShared, kSeparate };

  explicit Plan(Weights& weights, Memory memory = Memory::kShared);

  // ---- leaves
  // -------------------------------------------------------------------------------------------
  Tensor input_ids(std::string name, int64_t rows, int64_t cols);  // int32; fill with write_ids
  Tensor constant(std::string name, int64_t rows, int64_t cols, std::span<const float> values);
  Tensor weight(std::string_view name);

  // ---- ops: the formulas stand in device/ops.h
  // ------------------------------------------------------------
  Tensor linear(Tensor x, Tensor w,
                bool f32_output = false);  // [rows, in] x [out, in] -> [rows, out]
  Tensor embed(Tensor ids, Tensor table);  // [rows] x [vocab, dim] -> [rows, dim]
  Tensor bigram_hash(Tensor ids, int64_t tokens, int64_t buckets);
  Tensor add_scaled(Tensor x, Tensor z, Tensor s1, Tensor s2 = {});
  Tensor mix(Tensor x, Tensor a, Tensor z, Tensor b);
  Tensor leaky_relu2(Tensor x, float slope);
  Tensor smear(Tensor x, Tensor gate, int64_t tokens);
  Tensor rmsnorm(Tensor x, float scale);
  Tensor qk_norm_rope(Tensor x, Tensor gain, Tensor table, const HeadShape& shape);
  Tensor attention(Tensor q, Tensor k, Tensor v, const AttentionShape& shape);
  Tensor xsa(Tensor x, Tensor v, const AttentionShape& shape);
  // weights: constant [1, n]; targets [rows, n].
  LossTensors softcap_xent(Tensor logits, Tensor targets, Tensor weights, float cap);

  // Keeps a tensor's value readable after a run.
  void keep(Tensor t);
  // Ends recording. With a loss, records the gradients of its mean; without, the plan is forward
  // only.
  void finish(Tensor loss = {});

  // ---- replay
  // -------------------------------------------------------------------------------------------
  // accumulate: weight gradients are added to; loss_scale multiplies the loss's gradient.
  void run(bool accumulate = false, float loss_scale = 1.0f);
  // run() with a clock around each step; adds to profile[op].
  void run_profiled(std::vector<OpProfile>& profile, bool accumulate = false,
                    float loss_scale = 1.0f);
  // Repeats the last run step by step and names the first tensor with a NaN or infinity; empty when
  // all are finite.
  std::string find_non_finite();

  void write_ids(Tensor t, std::span<const int32_t> values);
  // Reads an f32 tensor that keep() named; waits for the device.
  void read(Tensor t, int64_t first_element, std::span<float> out);

  int64_t arena_bytes() const { return static_cast<int64_t>(arena_.bytes()); }
  int64_t separate_bytes() const { return separate_bytes_; }  // what kSeparate would take
  int64_t step_count() const { return static_cast<int64_t>(steps_.size()); }
  double flops() const;

 private:
  enum class Place : uint8_t { kArena, kOwned, kWeight, kWeightGradient };
  struct TensorInfo {
    std::string name;
    int64_t rows = 0, cols = 0;
    DType dtype = DType::kF32;
    Place place = Place::kArena;
    int weight = -1;
    bool needs_gradient = false;
    int gradient = -1;  // id of the gradient tensor
    bool gradient_written = false;
    bool kept = false;
    int first_step = -1, last_step = -1;
    void* data = nullptr;
    int64_t elements() const { return rows * cols; }
    size_t bytes() const { return static_cast<size_t>(elements()) * dtype_bytes(dtype); }
  };
  struct RunArgs {
    bool accumulate = false;
    float loss_scale = 1.0f;
  };
  // What a step writes: resolved while recording, read while running.
  struct OutRef {
    int id = -1;
    bool adds = false;                // a later contribution to a gradient
    bool is_weight_gradient = false;  // adds across micro-batches too
  };
  struct Step {
    OpId op;
    std::string label;
    std::vector<int> reads, writes;
    std::function<void(Ops&, const RunArgs&)> call;
    double flops = 0, bytes = 0;
  };

  TensorInfo& info(Tensor t) { return tensors_[static_cast<size_t>(t.id)]; }
  const TensorInfo& info(Tensor t) const { return tensors_[static_cast<size_t>(t.id)]; }
  DType activation() const { return weights_->device().compute_dtype(); }
  Tensor add_tensor(TensorInfo tensor);
  Tensor make_activation(const char* op, int64_t rows, int64_t cols);
  Tensor make_f32(const char* op, int64_t rows, int64_t cols);
  void record(OpId op, double flops, std::vector<Tensor> reads, std::vector<OutRef> writes,
              std::function<void(Ops&, const RunArgs&)> call);
  void add_rule(Tensor output, std::function<void()> rule);

  In in(Tensor t) const;
  Out out(const OutRef& ref, const RunArgs& args) const;
  OutRef write_to(Tensor t) const { return {t.id, false, false}; }
  // The gradient of t as an output, claiming a contribution; empty when t needs none.
  OutRef contribute(Tensor t);
  Tensor gradient(Tensor t) const { return Tensor{info(t).gradient}; }
  // True when x's gradient may simply be y's buffer: y's gradient is complete and x has none yet.
  bool pass_gradient(Tensor y, Tensor x);
  void place_tensors();

  Weights* weights_;
  Memory memory_;
  std::vector<TensorInfo> tensors_;
  std::vector<Step> steps_;
  std::vector<std::function<void()>> rules_;
  std::vector<DeviceBuffer> owned_;
  DeviceBuffer arena_;
  RunArgs last_run_;
  int64_t separate_bytes_ = 0;
  int forward_steps_ = 0;
  bool finished_ = false;
};

}  // namespace pg
