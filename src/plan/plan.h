// A forward pass recorded once, its gradient from one rule per op, all tensors in one arena,
// replayed without allocation.
//
// Recording: each method below appends a call that will call one op, and remembers the op's
// gradient rule. finish() runs the rules backwards, which appends the backward calls, then gives
// every tensor a place in the arena by its lifetime. Shapes are static: another batch shape or
// phase is another plan over the same Weights.
//
// Gradients: the first contribution to a tensor's gradient overwrites, later ones add, decided
// while recording, so nothing is ever zero-filled. Where an op passes its output's gradient on
// unchanged, both share one buffer: from then on it is the input's, and what adds to it spoils it as
// the output's. So recording checks, always, that the output's rules read it as it was when the
// first of them began, and that no call writes what it reads or writes one buffer twice.
#pragma once
// <train_gpt>
#include <array>
// </train_gpt>
#include <cstdint>
#include <functional>
// <train_gpt>
#include <memory>
// </train_gpt>
#include <span>
#include <string>
#include <vector>

#include "src/device/device.h"
#include "src/device/op_id.h"
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

struct LogProbTensors {
  Tensor log_probs;  // [rows, vocab] f32
  Tensor entropy;    // [rows, 1] f32, nats
};

struct MixNormTensors {
  Tensor y, n;  // the mix, and its RMSNorm: [rows, dim]
};

// One use of a weight by linear or embed, with the sums that collect_grams() asks for. The sums run
// over the rows of every run since the last one without `accumulate`.
struct WeightUse {
  int weight = -1;   // index in Weights
  Tensor gram;       // [cols, cols] f32: xT x of a linear map's input, dyT dy of a gather's output
  Tensor squares;    // f32: dy^2 summed over rows, the weight's from first_square on; linear only
  Tensor table_ids;  // [rows] int32: the table's rows that the last run read; embed only
  int64_t first_square = 0;
};

// Time, work and calls of one op within a plan.
struct OpProfile {
  double seconds = 0, flops = 0, bytes = 0;
  int64_t calls = 0;
};

class Plan {
 public:
  // kShared: tensors whose lives do not overlap share memory. kSeparate: every tensor has its own;
  // for the test that placing never changes a number. kRows: as kShared, but what a row reads of the
  // rows before it stays from run to run: for run_rows().
  enum class Memory : uint8_t { kShared, kSeparate, kRows };
  // kPassedOn: a gradient that an op passes on unchanged is not copied. kCopied: every tensor's
  // gradient is a buffer of its own; for the test that passing on never changes a number.
  enum class Gradients : uint8_t { kPassedOn, kCopied };

  explicit Plan(Weights& weights, Memory memory = Memory::kShared,
                Gradients gradients = Gradients::kPassedOn);

  // ---- leaves ----
  Tensor input_ids(std::string name, int64_t rows, int64_t cols);  // int32; fill with write_ids
  Tensor constant(std::string name, int64_t rows, int64_t cols, std::span<const float> values);
  Tensor weight(const ParamPlace& place);
  // Parameters that lie joined in memory as one matrix, [sum of rows, cols].
  Tensor joined_weight(std::span<const ParamPlace> places);
  bool has_weight(const ParamPlace& place) const { return weights_->has(place); }

  // <train_gpt>
  // From here on a weight of block l is that of block l + shift: a block of the same form once more.
  void shift_layers(int64_t shift) { layer_shift_ = shift; }
  // Where an input or constant lies for good: an operand that a shape holds.
  In place_of(Tensor leaf) const { return in(leaf); }
  // One more loss, of as many rows: its gradient is added to that of finish()'s.
  void add_loss(Tensor loss) { more_losses_.push_back(loss); }
  // </train_gpt>

  // From here on linear reads weights in the device's own form, where it has one: Ops::pack.
  void read_packed_weights() { reads_packed_ = true; }

  // What is recorded from here on belongs to a block of the model, or to none.
  void set_in_block(bool in_block) { in_block_ = in_block; }

  // <parts>
  // What is recorded from here on has the first rows of the sequence, not the last: for run_rows().
  void set_at_front(bool at_front) { at_front_ = at_front; }
  // </parts>

  // Columns [first, first + count) of x, without a copy. Once there is a view of a tensor, its
  // gradient comes through its views alone, which must cover it.
  Tensor columns(Tensor x, int64_t first, int64_t count);

  // ---- ops: the formulas stand in device/ops.h ----
  Tensor linear(Tensor x, Tensor w,
                bool f32_output = false);                // [rows, in] x [out, in] -> [rows, out]
  Tensor linear_add(Tensor addend, Tensor x, Tensor w);  // addend [rows, out] + linear(x, w)
  // y += u wT in place, u [rows, rank], w [out, rank]; gives y, which nothing has read yet.
  Tensor add_linear(Tensor y, Tensor u, Tensor w);
  // <train_gpt>
  // The two where each of as many equal parts of the rows has a weight of its own, all of one shape; a
  // part's values are those of a product of it alone.
  Tensor linear_of_parts(Tensor x, const std::vector<Tensor>& ws);
  Tensor add_linear_of_parts(Tensor y, Tensor u, const std::vector<Tensor>& ws);
  // The loss is then a mean of each part, and they add up.
  void part_loss(int64_t parts) { loss_parts_ = parts; }
  // </train_gpt>
  Tensor embed(Tensor ids, Tensor table);  // [rows] x [vocab, dim] -> [rows, dim]
  Tensor bigram_hash(Tensor ids, int64_t tokens, int64_t buckets, bool trigram = false);
  // <train_gpt>
  Tensor mean_bags(Tensor x, int64_t bag);  // [rows * bag, dim] -> [rows, dim]
  // </train_gpt>
  Tensor add_scaled(Tensor x, Tensor z, Tensor s1, Tensor s2 = {});
  Tensor mix(Tensor x, Tensor a, Tensor z, Tensor b);
  Tensor leaky_relu2(Tensor x, float slope);
  // <parts>
  Tensor scale_columns(Tensor x, Tensor a);  // a x, per channel: mix without a z
  Tensor swiglu(Tensor gate, Tensor up);
  Tensor token_smear(Tensor x, Tensor ids, Tensor w, Tensor scale, int64_t tokens, int64_t bos);
  Tensor gated_mix(Tensor x, Tensor z, Tensor w, Tensor gate);
  Tensor blend(Tensor x, Tensor a, Tensor z, Tensor b, bool sigmoid);
  // x [rows, heads*S] by the gates that n's first channels make: w [heads, width], b [1, heads] or absent.
  Tensor gate_heads(Tensor x, Tensor n, Tensor w, Tensor b, float scale, float factor);
  // x_{n-1} + sum c_j x_j of distinct xs [rows, dim], by h [rows, hidden], w [n, hidden], a [1, n].
  Tensor mix_layers(const std::vector<Tensor>& xs, Tensor h, Tensor w, Tensor a);
  // attention() where heads h and h + heads/2 are a pair: a position's row is two rows of half the heads,
  // one behind the other, so that each head reads the keys of both. v is no view.
  Tensor attention_of_pairs(Tensor q, Tensor k, Tensor v, const AttentionShape& shape);
  // Before each of `batch` sequences of x the rows of m, or so many of zeros.
  Tensor prepend_rows(Tensor m, Tensor x, int64_t batch);
  Tensor prepend_zeros(Tensor x, int64_t batch, int64_t memory);
  // </parts>
  Tensor smear(Tensor x, Tensor gate, int64_t tokens);
  Tensor rmsnorm(Tensor x, float scale);
  MixNormTensors mix_rmsnorm(Tensor x, Tensor a, Tensor z, Tensor b, float scale);
  Tensor qk_norm_rope(Tensor x, Tensor gain, Tensor table, const HeadShape& shape);
  Tensor attention(Tensor q, Tensor k, Tensor v, const AttentionShape& shape);
  Tensor xsa(Tensor x, Tensor v, const AttentionShape& shape);
  // weights: constant [1, n]; targets [rows, n].
  // The row weights of `cap` are a tensor here, [rows] f32, or absent.
  LossTensors softcap_xent(Tensor logits, Tensor targets, Tensor weights, const Softcap& cap,
                           Tensor row_weights = {});
  LogProbTensors softcap_log_probs(Tensor logits, Softcap cap);
  // <parts>
  // The caps [2] of each side of logits, of what is recorded from here on: Softcap::sides.
  void cap_sides(Tensor sides) { logit_sides_ = sides; }
  // </parts>
  // The mean of x, f64 [1] on the device; with `accumulate`, of the runs so far, added up.
  Tensor mean(Tensor x);

  // From here on every linear and embed of a weight also records the sums of a WeightUse; those
  // over dy need a loss. Changes no other number. For calibration, not for training.
  void collect_grams() { collects_grams_ = true; }
  const std::vector<WeightUse>& weight_uses() const { return weight_uses_; }

  // <parts>
  // For plans of which no run begins before another's has ended: finish() places this one's tensors in
  // the arena of `other`, finished and outliving this, where they fit. Kept tensors are then read
  // before a run of the other.
  void borrow_arena_of(const Plan& other) { lender_ = &other.arena_; }
  // </parts>

  // Keeps a tensor's value readable after a run.
  void keep(Tensor t);
  // Ends recording. With a loss, records the gradients of its mean; without, the plan is forward
  // only.
  void finish(Tensor loss = {});

  // ---- replay ----
  // accumulate: weight gradients and means are added to.
  void run(bool accumulate = false);
  // Of a forward plan over one sequence: the rows of positions [first, first + count) alone, once
  // those before have run. A tensor of fewer rows than the sequence has those of its end, or, with
  // set_at_front(), of its front.
  void run_rows(int64_t sequence, int64_t first, int64_t count);
  // Multiplies the loss's gradient in the runs to come; 1 at first. Costs an upload when it changes.
  void set_loss_scale(float scale);
  // run() with a clock around each call; adds to profile[op].
  void run_profiled(std::vector<OpProfile>& profile, bool accumulate = false);
  // Repeats the last run call by call and names the first tensor with a NaN or infinity; empty when
  // all are finite.
  std::string find_non_finite();

  void write_ids(Tensor t, std::span<const int32_t> values);
  void write_constant(Tensor t, std::span<const float> values);  // from the next run on
  // Reads an f32 tensor that keep() named or a sum of weight_uses(), rounded where the device keeps
  // it in f64; waits for the device.
  void read(Tensor t, int64_t first_element, std::span<float> out);
  void read_ids(Tensor t, std::span<int32_t> out);  // of the last run; waits for the device
  const double* device_mean(Tensor t) const;        // where a mean() lies
  int64_t elements(Tensor t) const { return info(t).elements(); }

  Device& device() const { return weights_->device(); }
  // Of its own: none where they are borrowed.
  int64_t arena_bytes() const { return static_cast<int64_t>(arena_.bytes()); }
  int64_t separate_bytes() const { return separate_bytes_; }  // what kSeparate would take
  int64_t call_count() const { return static_cast<int64_t>(calls_.size()); }
  double flops() const;
  // <train_gpt>
  std::vector<OpProfile> count_work() const;  // [ops] of a run, without seconds
  // </train_gpt>
  // Read and written in a run by the ops that memory bounds; those of blocks alone where wanted.
  double memory_bound_bytes(bool of_blocks) const;

 protected:  // what the ops above are written in; a test writes a faulty one
  enum class Place : uint8_t { kArena, kOwned, kWeight, kWeightGradient };
  struct TensorInfo {
    std::string name;
    int64_t rows = 0, cols = 0;
    DType dtype = DType::kF32;
    Place place = Place::kArena;
    std::vector<int> weights;  // of a weight or its gradient: several where they are joined
    int base = -1;             // of a view: the tensor whose columns it is
    int64_t first_column = 0;
    int64_t view_columns = 0;  // of a tensor with views: how many they cover
    bool needs_gradient = false;
    int gradient = -1;  // id of the gradient tensor
    bool gradient_written = false;
    bool kept = false;
    bool lasts = false;  // from run to run
    int first_call = -1, last_call = -1;
    int last_write = -1;          // the last call that wrote it
    bool rule_has_begun = false;  // its gradient is complete, and was written last by gradient_call
    int gradient_call = -1;
    void* data = nullptr;
    int64_t elements() const { return rows * cols; }
    size_t bytes() const { return static_cast<size_t>(elements()) * dtype_bytes(dtype); }
  };
  struct RunArgs {
    bool accumulate = false;
    int64_t first = 0, rows = 0;  // of what the call writes: all of them but in run_rows()
  };
  // What a call writes: resolved while recording, read while running.
  struct OutRef {
    int id = -1;
    bool adds = false;              // a later contribution to a gradient
    bool adds_across_runs = false;  // a sum that micro-batches add to: a weight gradient, a gram
  };
  struct OpCall {
    OpId op;
    std::string label;
    std::vector<int> reads, writes;
    std::function<void(Ops&, const RunArgs&)> run;
    int64_t rows = 0;  // that it writes
    double flops = 0, bytes = 0;
    bool in_block = false;
    // <parts>
    bool at_front = false;
    // </parts>
  };

  TensorInfo& info(Tensor t) { return tensors_[static_cast<size_t>(t.id)]; }
  const TensorInfo& info(Tensor t) const { return tensors_[static_cast<size_t>(t.id)]; }
  DType activation() const { return weights_->device().compute_dtype(); }
  bool is_view(Tensor t) const { return info(t).base >= 0; }
  // The tensor that owns the memory: the base of a view, else itself.
  TensorInfo& owner(int id);
  const TensorInfo& owner(int id) const;
  Tensor add_tensor(TensorInfo tensor);
  Tensor make_activation(const char* op, int64_t rows, int64_t cols);
  Tensor make_f32(const char* op, int64_t rows, int64_t cols);
  void record(OpId op, double flops, std::vector<Tensor> reads, std::vector<OutRef> writes,
              std::function<void(Ops&, const RunArgs&)> run);
  void add_rule(Tensor output, std::function<void()> rule);

  Tensor make_scalar(std::string name);                   // f32 [1], zero
  int64_t stride(int id) const;                           // of a view; 0: dense
  int64_t row_bytes(int id, int64_t rows) const;          // so many rows take up
  In in(Tensor t) const;                                  // the whole tensor
  In rows_in(Tensor t, const RunArgs& args) const;        // from the first row of the call on
  Out out(const OutRef& ref, const RunArgs& args) const;  // likewise
  // Later rows read these.
  void keep_rows(Tensor t) { owner(t.id).lasts = memory_ == Memory::kRows; }
  OutRef write_to(Tensor t) const { return {t.id, false, false}; }
  // The gradient of t as an output, claiming a contribution; empty when t needs none.
  OutRef contribute(Tensor t);
  Tensor gradient(Tensor t) const { return Tensor{info(t).gradient}; }
  // For the rule of y alone, where the gradient of x is that of y: true when x's gradient may simply
  // be y's buffer, because x has none yet. Nothing else may then add to it before y's rule has ended,
  // so an op whose other operand may be x as well must ask first.
  bool pass_gradient(Tensor y, Tensor x);

 private:
  Tensor add_gradient_of(Tensor t);
  // Aborts, naming the calls, when `call` would compute with a spoiled buffer.
  void check_call(const OpCall& call) const;
  static std::string describe_call(const OpCall& call);
  void begin_rule(Tensor output);
  void upload_loss_gradient();
  void run_call(Ops& ops, const OpCall& call) const;
  In weight_in(Tensor w) const;  // as linear reads it
  void place_tensors();
  // plan_ops.cpp, plan_gates.cpp
  Tensor record_linear(Tensor addend, Tensor x, Tensor w, bool f32_output);
  // gradient/
  void record_gradients(Tensor loss);
  void record_linear_gradients(Tensor dy, Tensor x, Tensor w);
  void linear_rule(Tensor y, Tensor addend, Tensor x, Tensor w, size_t first_use);
  void add_linear_rule(Tensor y, Tensor u, Tensor w);
  void embed_rule(Tensor y, Tensor ids, Tensor table, size_t use);
  void add_scaled_rule(Tensor y, Tensor x, Tensor z, Tensor s1, Tensor s2);
  void mix_rule(Tensor y, Tensor x, Tensor a, Tensor z, Tensor b);
  void leaky_relu2_rule(Tensor y, Tensor x, float slope);
  // <parts>
  void scale_columns_rule(Tensor y, Tensor x, Tensor a);
  void swiglu_rule(Tensor y, Tensor gate, Tensor up);
  void token_smear_rule(Tensor y, Tensor x, Tensor ids, Tensor w, Tensor scale,
                        const TokenSmearShape& shape);
  void gated_mix_rule(Tensor y, Tensor x, Tensor z, Tensor w, Tensor gate);
  void blend_rule(Tensor y, Tensor x, Tensor a, Tensor z, Tensor b, bool sigmoid);
  void gate_heads_rule(Tensor y, Tensor x, Tensor n, Tensor w, Tensor b,
                       const HeadGateShape& shape);
  void mix_layers_rule(Tensor y, const std::vector<Tensor>& xs, Tensor h, Tensor w, Tensor a,
                       const LayerMixShape& shape);
  Tensor record_prepend_rows(Tensor m, Tensor x, const PrependShape& shape);
  void prepend_rows_rule(Tensor y, Tensor m, Tensor x, const PrependShape& shape);
  // </parts>
  void smear_rule(Tensor y, Tensor x, Tensor gate, int64_t tokens);
  void rmsnorm_rule(Tensor y, Tensor rstd, Tensor x, float scale);
  void mix_rmsnorm_rule(MixNormTensors mixed, Tensor rstd, Tensor x, Tensor a, Tensor z, Tensor b,
                        float scale);
  void qk_norm_rope_rule(Tensor y, Tensor rstd, Tensor x, Tensor gain, Tensor table,
                         const HeadShape& shape);
  void attention_rule(Tensor y, Tensor lse, Tensor q, Tensor k, Tensor v,
                      const AttentionShape& shape);
  void xsa_rule(Tensor y, Tensor x, Tensor v, const AttentionShape& shape);
  OutRef make_sum(std::string name, int64_t rows, int64_t cols, DType dtype = DType::kF32);
  // <train_gpt>
  // parts/plan_parts.cpp
  Tensor record_product_of_parts(OutRef y, Tensor x, const std::vector<Tensor>& ws);
  // inspect/plan_grams.cpp
  void add_weight_uses(Tensor w, Tensor gram, Tensor table_ids);
  // Sets the sums of the uses from `first_use` on that belong to w.
  void set_squares(size_t first_use, Tensor w, Tensor squares);
  Tensor record_input_gram(Tensor x);  // once for all linear maps of x
  Tensor record_gram(Tensor x);
  Tensor record_column_squares(Tensor x);
  // </train_gpt>

  Weights* weights_;
  Memory memory_;
  Gradients gradients_;
  std::vector<TensorInfo> tensors_;
  std::vector<OpCall> calls_;
  std::vector<std::function<void()>> rules_;
  std::vector<DeviceBuffer> owned_;
  std::vector<WeightUse> weight_uses_;
  std::vector<std::pair<int, Tensor>> input_grams_;  // id of a linear map's input, its gram
  DeviceBuffer arena_;
  // <parts>
  const DeviceBuffer* lender_ = nullptr;
  // </parts>
  // <train_gpt>
  std::array<std::unique_ptr<KeptWork>, 2> kept_;  // runs that overwrite, and that accumulate
  // </train_gpt>
  // <parts>
  Tensor logit_sides_;
  // </parts>
  bool accumulates_ = false;  // the last run
  Tensor loss_gradient_;      // [1] f32: loss_scale over the loss's rows
  int64_t loss_rows_ = 0;
  float loss_scale_ = 1.0f;
  int64_t separate_bytes_ = 0;
  Tensor rule_output_;  // whose rule is being recorded
  // <train_gpt>
  std::vector<Tensor> more_losses_;
  int64_t layer_shift_ = 0, loss_parts_ = 1;
  // </train_gpt>
  // <parts>
  bool at_front_ = false;
  // </parts>
  bool finished_ = false, collects_grams_ = false, in_block_ = false, reads_packed_ = false;
};

}  // namespace pg
