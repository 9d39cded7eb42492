// The one source that compiles cuDNN's C++ front end (half a minute, hence alone). A plan is a graph
// of the front end with one node, scaled dot product attention: the front end says what it is made
// of, cuDNN chooses an engine for it and compiles that for the GPU at hand.
#include "src/device/cuda/cudnn/cudnn_attention.h"

#define NV_CUDNN_FRONTEND_USE_DYNAMIC_LOADING  // nothing of cuDNN is linked
#include <cudnn_frontend.h>

#include <algorithm>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "src/base/error.h"
#include "src/device/cuda/cudnn/cudnn_library.h"

namespace fe = cudnn_frontend;

namespace cudnn_frontend {
void* cudnn_dlhandle = nullptr;  // where the front end looks for cuDNN's functions, by this name
}

namespace pg {
namespace {

// Up to 9.15 the front end gives each backward pass the lengths of its sequences from the host's
// memory, which a graph of the GPU's work cannot repeat.
constexpr size_t kLeastVersion = 91600;
constexpr size_t kLongestReason = 400;  // of a message; cuDNN's list every engine that it tried

// Tensors of a graph, as a pass names them.
enum TensorName : int64_t { kQ = 1, kK, kV, kY, kLse, kDy, kDq, kDk, kDv };

std::string version_text(size_t version) {
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

std::string describe_shape(const GpuAttentionShape& s, bool is_backward) {
  return std::string(is_backward ? "attention's gradient" : "attention") +
         " [B=" + std::to_string(s.batch) + " T=" + std::to_string(s.tokens) +
         " keys=" + std::to_string(s.keys) + " H=" + std::to_string(s.heads) +
         " K=" + std::to_string(s.kv_heads) + " S=" + std::to_string(s.head_dim) + "]";
}

std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < ' '; }, ' ');
  if (text.size() > kLongestReason) text.replace(kLongestReason, std::string::npos, "...");
  return text;
}

[[noreturn]] void fail(const std::string& what, const std::string& reason) {
  throw Error("cuDNN: " + what + ": \"" + one_line(reason) + "\"; try --device cuda");
}

void check(cudnnStatus_t status, const char* call) {
  if (status != CUDNN_STATUS_SUCCESS) fail(call, fe::detail::get_error_string(status));
}

// Whether cuDNN was reached and has nothing that computes the graph.
bool is_refusal(fe::error_t error) {  // by value: its getters are not const
  const fe::error_code_t code = error.get_code();
  const auto says = [&](const char* text) {
    return error.get_message().find(text) != std::string::npos;
  };
  if (code == fe::error_code_t::GRAPH_NOT_SUPPORTED) return true;
  if (code == fe::error_code_t::HEURISTIC_QUERY_FAILED) {
    return says("CUDNN_STATUS_NOT_SUPPORTED") && !says("PREREQUISITE_MISSING");
  }
  return says("Deselecting execution plan");  // its engines add up in any order
}

struct Plan {
  fe::graph::Graph graph;
  GpuAttentionPlan facts;
  std::string refusal;  // why there is none
};

using Tensor = std::shared_ptr<fe::graph::Tensor_attributes>;

// Heads side by side in rows that lie `stride` elements apart, as cuDNN orders them: [B, H, rows, S].
template <class Attributes>
void set_rows(Attributes& tensor, TensorName name, int64_t heads, int64_t rows, int64_t stride,
              const GpuAttentionShape& s) {
  tensor.set_uid(name)
      .set_dim({s.batch, heads, rows, s.head_dim})
      .set_stride({rows * stride, s.head_dim, stride, 1});
}

Tensor add_rows(fe::graph::Graph& graph, const char* label, TensorName name, int64_t heads,
                int64_t rows, int64_t stride, const GpuAttentionShape& s) {
  auto tensor = fe::graph::Tensor_attributes().set_name(label);
  set_rows(tensor, name, heads, rows, stride, s);
  return graph.tensor(tensor);
}

template <class Attributes>
void set_lse(Attributes& tensor, const GpuAttentionShape& s) {
  tensor.set_uid(kLse)
      .set_data_type(fe::DataType_t::FLOAT)
      .set_dim({s.batch, s.heads, s.tokens, 1})
      .set_stride({s.heads * s.tokens, s.tokens, 1, 1});
}

// The last query sees every key.
template <class Attributes>
void set_causal(Attributes& attention, const GpuAttentionShape& s) {
  attention.set_attn_scale(s.scale)
      .set_diagonal_alignment(s.keys == s.tokens ? fe::DiagonalAlignment_t::TOP_LEFT
                                                 : fe::DiagonalAlignment_t::BOTTOM_RIGHT)
      .set_diagonal_band_right_bound(0);
}

struct Inputs {
  Tensor q, k, v;
};
Inputs add_inputs(fe::graph::Graph& graph, const GpuAttentionShape& s) {
  return {add_rows(graph, "q", kQ, s.heads, s.tokens, s.heads * s.head_dim, s),
          add_rows(graph, "k", kK, s.kv_heads, s.keys, s.kv_heads * s.head_dim, s),
          add_rows(graph, "v", kV, s.kv_heads, s.keys, s.v_stride, s)};
}

void add_forward(fe::graph::Graph& graph, const GpuAttentionShape& s) {
  const Inputs in = add_inputs(graph, s);
  auto attention = fe::graph::SDPA_attributes().set_name("attention").set_generate_stats(true);
  set_causal(attention, s);
  // The statistics are log sum exp of the scaled scores, in nats: those of our own kernels.
  const auto [y, lse] = graph.sdpa(in.q, in.k, in.v, attention);
  set_rows(y->set_output(true), kY, s.heads, s.tokens, s.heads * s.head_dim, s);
  set_lse(lse->set_output(true), s);
}

void add_backward(fe::graph::Graph& graph, const GpuAttentionShape& s) {
  const Inputs in = add_inputs(graph, s);
  const int64_t q_stride = s.heads * s.head_dim, k_stride = s.kv_heads * s.head_dim;
  const Tensor y = add_rows(graph, "y", kY, s.heads, s.tokens, q_stride, s);
  const Tensor dy = add_rows(graph, "dy", kDy, s.heads, s.tokens, q_stride, s);
  auto lse_attributes = fe::graph::Tensor_attributes().set_name("lse");
  set_lse(lse_attributes, s);
  const Tensor lse = graph.tensor(lse_attributes);
  auto attention = fe::graph::SDPA_backward_attributes()
                       .set_name("attention_backward")
                       .set_deterministic_algorithm(true);
  set_causal(attention, s);
  const auto [dq, dk, dv] = graph.sdpa_backward(in.q, in.k, in.v, y, dy, lse, attention);
  set_rows(dq->set_output(true), kDq, s.heads, s.tokens, q_stride, s);
  set_rows(dk->set_output(true), kDk, s.kv_heads, s.keys, k_stride, s);
  set_rows(dv->set_output(true), kDv, s.kv_heads, s.keys, s.dv_stride, s);
}

class CudnnAttention final : public GpuAttention {
 public:
  CudnnAttention(kernels::Stream stream, int compute_capability)
      : compute_capability_(compute_capability) {
    open();
    check(fe::detail::create_handle(&handle_), "cudnnCreate");
    try {
      check(fe::detail::set_stream(handle_, stream), "cudnnSetStream");
    } catch (...) {
      fe::detail::destroy_handle(handle_);
      throw;
    }
  }
  CudnnAttention(std::string_view device, int compute_capability)
      : compute_capability_(compute_capability), device_(std::make_shared<fe::DeviceProperties>()) {
    open();
    fe::error_t error = device_->deserialize(std::vector<uint8_t>(device.begin(), device.end()));
    if (error.is_bad()) fail("description of a GPU", error.get_message());
  }
  ~CudnnAttention() override {
    forward_.clear();
    backward_.clear();
    if (handle_ != nullptr) fe::detail::destroy_handle(handle_);
  }

  std::string description() const override { return "cuDNN " + version_text(version_); }

  const GpuAttentionPlan* plan_forward(const GpuAttentionShape& shape) override {
    const Plan& plan = find_plan(forward_, shape, false);
    return plan.refusal.empty() ? &plan.facts : nullptr;
  }
  const GpuAttentionPlan& plan_backward(const GpuAttentionShape& shape) override {
    const Plan& plan = find_plan(backward_, shape, true);
    if (!plan.refusal.empty()) {
      fail("no plan with sums in a fixed order for " + describe_shape(shape, true), plan.refusal);
    }
    return plan.facts;
  }

  void run(const GpuAttentionShape& shape, const GpuAttentionForward& o, void* workspace) override {
    execute(find_plan(forward_, shape, false),
            {{kQ, o.q}, {kK, o.k}, {kV, o.v}, {kY, o.y}, {kLse, o.lse}}, workspace);
  }
  void run(const GpuAttentionShape& shape, const GpuAttentionBackward& o,
           void* workspace) override {
    execute(find_plan(backward_, shape, true),
            {{kQ, o.q},
             {kK, o.k},
             {kV, o.v},
             {kY, o.y},
             {kDy, o.dy},
             {kLse, o.lse},
             {kDq, o.dq},
             {kDk, o.dk},
             {kDv, o.dv}},
            workspace);
  }

 private:
  using Plans = std::map<GpuAttentionShape, std::unique_ptr<Plan>>;
  struct Operand {
    TensorName name;
    const void* memory;
  };

  void open() {
    fe::cudnn_dlhandle = open_cudnn_library();
    version_ = fe::detail::get_backend_version();
    if (version_ < kLeastVersion) {
      throw Error("cuDNN: " + version_text(version_) + " is too old, " +
                  version_text(kLeastVersion) +
                  " is the least; install a later one, or use --device cuda");
    }
  }

  const Plan& find_plan(Plans& plans, const GpuAttentionShape& shape, bool is_backward) {
    auto found = plans.find(shape);
    if (found == plans.end()) {
      found = plans.emplace(shape, make_plan(shape, is_backward)).first;
    }
    return *found->second;
  }

  std::unique_ptr<Plan> make_plan(const GpuAttentionShape& shape, bool is_backward) {
    auto plan = std::make_unique<Plan>();
    fe::error_t error;
    try {
      error = build(*plan, shape, is_backward);
    } catch (const std::exception& thrown) {
      fail("a plan of " + describe_shape(shape, is_backward), thrown.what());
    }
    if (error.is_good()) return plan;
    if (!is_refusal(error)) {
      fail("a plan of " + describe_shape(shape, is_backward), error.get_message());
    }
    plan->refusal = error.get_message();
    return plan;
  }

  fe::error_t build(Plan& plan, const GpuAttentionShape& shape, bool is_backward) {
    fe::graph::Graph& graph = plan.graph;
    graph.set_io_data_type(fe::DataType_t::BFLOAT16)
        .set_intermediate_data_type(fe::DataType_t::FLOAT)
        .set_compute_data_type(fe::DataType_t::FLOAT)
        .set_sm_version(compute_capability_);
    if (device_ != nullptr) graph.set_device_properties(device_);
    is_backward ? add_backward(graph, shape) : add_forward(graph, shape);
    int64_t bytes = 0;
    fe::error_t error = graph.validate();
    if (error.is_good()) {
      error =
          device_ != nullptr ? graph.build_operation_graph() : graph.build_operation_graph(handle_);
    }
    if (error.is_good()) error = graph.create_execution_plans({fe::HeurMode_t::A});
    graph.deselect_numeric_notes({fe::NumericalNote_t::NONDETERMINISTIC});
    if (error.is_good()) error = graph.check_support();
    if (error.is_good()) error = graph.build_plans(fe::BuildPlanPolicy_t::HEURISTICS_CHOICE);
    if (error.is_good()) error = graph.get_workspace_size(bytes);
    if (error.is_good()) error = graph.get_plan_name(plan.facts.engine);
    plan.facts.workspace_bytes = static_cast<size_t>(std::max<int64_t>(bytes, 0));
    return error;
  }

  void execute(const Plan& plan, std::initializer_list<Operand> operands, void* workspace) {
    std::unordered_map<int64_t, void*> memory;
    for (const Operand& operand : operands) {
      memory.emplace(operand.name,
                     const_cast<void*>(operand.memory));  // what is read is not written
    }
    fe::error_t error;
    try {
      error = plan.graph.execute(handle_, memory, workspace);
    } catch (const std::exception& thrown) {
      fail("cudnnBackendExecute", thrown.what());
    }
    if (error.is_bad()) fail("cudnnBackendExecute", error.get_message());
  }

  int compute_capability_;
  size_t version_ = 0;
  cudnnHandle_t handle_ = nullptr;                // null: plans alone,
  std::shared_ptr<fe::DeviceProperties> device_;  // for this one
  Plans forward_, backward_;
};

// The front end throws where the library lacks a function.
template <class Where>
std::unique_ptr<GpuAttention> make_attention(Where where, int compute_capability) {
  try {
    return std::make_unique<CudnnAttention>(where, compute_capability);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& thrown) {
    fail("start", thrown.what());
  }
}

}  // namespace

std::unique_ptr<GpuAttention> make_cudnn_attention(kernels::Stream stream, int compute_capability) {
  return make_attention(stream, compute_capability);
}

std::unique_ptr<GpuAttention> make_cudnn_planner(std::string_view device, int compute_capability) {
  return make_attention(device, compute_capability);
}

}  // namespace pg
