#include "tests/simt/fake_cudnn/fake_cudnn.h"

#include <cudnn.h>
#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "src/base/error.h"
#include "src/device/cuda/cudnn/cudnn_library.h"
#include "tests/simt/fake_cuda/fake_state.h"
#include "tests/simt/fake_cudnn/fake_cudnn_descriptors.h"

struct cudnnContext {
  cudaStream_t stream = nullptr;
};

namespace pg {

namespace fake_cudnn {
namespace {

struct State {
  size_t version = 91900;
  bool is_missing = false;
  Engines engines = Engines::kOrdered;
  float factor = 1;
  int64_t plans = 0, passes = 0, fails_at = 0;
  std::string last_error;
};

State& state() {
  static State the_state;
  return the_state;
}

cudnnStatus_t refuse(cudnnStatus_t status, const std::string& reason) {
  state().last_error = std::string(cudnnGetErrorString(status)) + ": " + reason;
  return status;
}

// Those of a gradient write down what they would otherwise have to add up in any order.
int64_t workspace_bytes(const Graph& graph) {
  constexpr size_t kMostOfForward = 20;
  int64_t bytes = 0;
  for (const GraphOperation& operation : graph) {
    if (operation.output.is_virtual && operation.output.type == CUDNN_DATA_BFLOAT16) {
      bytes += operation.output.count() * 2;
    }
  }
  return graph.size() > kMostOfForward ? bytes : 0;
}

const Descriptor& graph_of_engine_config(const Descriptor& config) {
  return config.child(CUDNN_ATTR_ENGINECFG_ENGINE).child(CUDNN_ATTR_ENGINE_OPERATION_GRAPH);
}

Attribute made_of(std::shared_ptr<const Descriptor> descriptor) {
  return {CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, {}, {std::move(descriptor)}};
}

// ---- what calls ask for ----

struct Answer {
  cudnnBackendAttributeType_t type;
  int64_t requested;
  int64_t* count;
  void* elements;

  template <class T>
  cudnnStatus_t give(std::initializer_list<T> values) const {
    if (bytes_of(type) != sizeof(T)) return refuse(CUDNN_STATUS_BAD_PARAM, "attribute type");
    if (count != nullptr) *count = static_cast<int64_t>(values.size());
    if (elements == nullptr) return CUDNN_STATUS_SUCCESS;
    const auto given = std::min(requested, static_cast<int64_t>(values.size()));
    std::copy_n(values.begin(), given, static_cast<T*>(elements));
    return CUDNN_STATUS_SUCCESS;
  }
  // Into a descriptor that the caller has made.
  cudnnStatus_t give_descriptor(const Descriptor& descriptor) const {
    if (count != nullptr) *count = 1;
    if (elements == nullptr || requested < 1) return CUDNN_STATUS_SUCCESS;
    auto* const to = static_cast<Descriptor*>(*static_cast<cudnnBackendDescriptor_t*>(elements));
    if (to == nullptr || to->type != descriptor.type) {
      return refuse(CUDNN_STATUS_BAD_PARAM, "descriptor to fill");
    }
    *to = descriptor;
    return CUDNN_STATUS_SUCCESS;
  }
};

cudnnStatus_t give_heuristics(const Descriptor& heuristics, const Answer& answer) {
  const Descriptor& graph = heuristics.child(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
  if (state().engines == Engines::kNone) {
    state().last_error = "CUDNN_STATUS_NOT_SUPPORTED: no engine computes such a graph";
    return answer.give<void*>({});
  }
  Descriptor engine, config;
  engine.type = CUDNN_BACKEND_ENGINE_DESCRIPTOR;
  config.type = CUDNN_BACKEND_ENGINECFG_DESCRIPTOR;
  engine.is_finalized = config.is_finalized = true;
  engine.attributes[CUDNN_ATTR_ENGINE_OPERATION_GRAPH] =
      made_of(std::make_shared<const Descriptor>(graph));
  config.attributes[CUDNN_ATTR_ENGINECFG_ENGINE] =
      made_of(std::make_shared<const Descriptor>(engine));
  return answer.give_descriptor(config);
}

cudnnStatus_t answer_about(const Descriptor& d, cudnnBackendAttributeName_t name,
                           const Answer& answer) {
  switch (name) {
    case CUDNN_ATTR_ENGINEHEUR_RESULTS:
      return give_heuristics(d, answer);
    case CUDNN_ATTR_ENGINECFG_ENGINE:
      return answer.give_descriptor(d.child(name));
    case CUDNN_ATTR_ENGINECFG_KNOB_CHOICES:
      return answer.give<void*>({});
    case CUDNN_ATTR_ENGINECFG_SHARED_MEMORY_USED:
      return answer.give<int32_t>({1024});
    case CUDNN_ATTR_ENGINECFG_WORKSPACE_SIZE:
      return answer.give<int64_t>({workspace_bytes(graph_of(graph_of_engine_config(d)))});
    case CUDNN_ATTR_ENGINE_GLOBAL_INDEX:
      return answer.give<int64_t>({3});
    case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE:
      if (state().engines == Engines::kOrdered) return answer.give<cudnnBackendNumericalNote_t>({});
      return answer.give({CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC});
    case CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE:
      return answer.give<cudnnBackendBehaviorNote_t>({});
    case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE:
      return answer.give<int64_t>({workspace_bytes(d.graph)});
    default:
      return refuse(CUDNN_STATUS_NOT_SUPPORTED, "attribute " + std::to_string(name));
  }
}

// ---- running a plan ----

// What each tensor of a graph that is not virtual lies in; empty and *wrong set where it lies wrong.
std::map<int64_t, void*> memory_of(const Graph& graph, const Descriptor& pack, std::string* wrong) {
  const auto ids = pack.all<int64_t>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
  const auto pointers = pack.all<void*>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
  if (ids.size() != pointers.size()) {
    *wrong = "as many pointers as ids";
    return {};
  }
  std::map<int64_t, void*> memory;
  for (size_t i = 0; i < ids.size(); ++i) memory[ids[i]] = pointers[i];
  const auto check_tensor = [&](const GraphTensor& t) {
    if (t.is_virtual) return;
    const size_t bytes = static_cast<size_t>(t.extent()) * (t.type == CUDNN_DATA_BFLOAT16 ? 2 : 4);
    if (!memory.contains(t.id)) {
      *wrong = "memory of tensor " + std::to_string(t.id);
    } else if (t.is_by_value == fake_cuda::is_of_device(memory.at(t.id), bytes)) {
      *wrong = "the memory that tensor " + std::to_string(t.id) + " lies in";
    }
  };
  for (const GraphOperation& operation : graph) {
    for (const GraphTensor& input : operation.inputs) check_tensor(input);
    check_tensor(operation.output);
  }
  return memory;
}

// Numbers are read when the pass is given, memory when it runs.
using Numbers = std::map<int64_t, std::array<std::byte, 4>>;
Numbers numbers_of(const Graph& graph, const std::map<int64_t, void*>& memory) {
  Numbers numbers;
  for (const GraphOperation& operation : graph) {
    for (const GraphTensor& input : operation.inputs) {
      if (!input.is_by_value) continue;
      std::memcpy(numbers[input.id].data(), memory.at(input.id), sizeof numbers[input.id]);
    }
  }
  return numbers;
}

}  // namespace

void set_version(size_t version) { state().version = version; }
void set_missing(bool is_missing) { state().is_missing = is_missing; }
void set_engines(Engines engines) { state().engines = engines; }
void fail_pass(int64_t number) { state().fails_at = number; }
void scale_results(float factor) { state().factor = factor; }
int64_t count_plans() { return state().plans; }
int64_t count_passes() { return state().passes; }

}  // namespace fake_cudnn

// The library is this program.
void* open_cudnn_library() {
  if (fake_cudnn::state().is_missing) throw Error("cuDNN: it is not there");
  return ::dlopen(nullptr, RTLD_NOW);
}

}  // namespace pg

using namespace pg::fake_cudnn;
using pg::fake_cuda::is_to_fail;

// A call that changes nothing when it fails.
#define FAKE_CALL() \
  if (is_to_fail(__func__)) return refuse(CUDNN_STATUS_INTERNAL_ERROR, __func__)

extern "C" {

size_t cudnnGetVersion() { return state().version; }

const char* cudnnGetErrorString(cudnnStatus_t status) {
  switch (status) {
    case CUDNN_STATUS_SUCCESS:
      return "CUDNN_STATUS_SUCCESS";
    case CUDNN_STATUS_BAD_PARAM:
      return "CUDNN_STATUS_BAD_PARAM";
    case CUDNN_STATUS_NOT_SUPPORTED:
      return "CUDNN_STATUS_NOT_SUPPORTED";
    default:
      return "CUDNN_STATUS_INTERNAL_ERROR";
  }
}

void cudnnGetLastErrorString(char* message, size_t max_size) {
  const std::string text = std::exchange(state().last_error, "");
  if (max_size == 0) return;
  const size_t length = text.copy(message, max_size - 1);
  message[length] = 0;
}

cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  FAKE_CALL();
  *handle = new cudnnContext;
  pg::fake_cuda::add_live(1);
  return CUDNN_STATUS_SUCCESS;
}
// What is given back is gone, also where the call says that it failed.
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  delete handle;
  pg::fake_cuda::add_live(-1);
  FAKE_CALL();
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  FAKE_CALL();
  handle->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnGetStream(cudnnHandle_t handle, cudaStream_t* stream) {
  FAKE_CALL();
  *stream = handle->stream;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                           cudnnBackendDescriptor_t* descriptor) {
  FAKE_CALL();
  if (!known_attributes().contains(type)) {
    return refuse(CUDNN_STATUS_NOT_SUPPORTED, "descriptor " + std::to_string(type));
  }
  auto* const made = new Descriptor;
  made->type = type;
  *descriptor = made;
  pg::fake_cuda::add_live(1);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor) {
  if (descriptor != nullptr) pg::fake_cuda::add_live(-1);
  delete static_cast<Descriptor*>(descriptor);
  FAKE_CALL();
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count,
                                       const void* elements) {
  FAKE_CALL();
  auto& to = *static_cast<Descriptor*>(descriptor);
  const KnownAttributes& known = known_attributes().at(to.type);
  const auto knows = [&](const std::vector<cudnnBackendAttributeName_t>& names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (!knows(known.needed) && !knows(known.others)) {
    return refuse(CUDNN_STATUS_NOT_SUPPORTED, "attribute " + std::to_string(name));
  }
  if (to.is_finalized) return refuse(CUDNN_STATUS_BAD_PARAM, "it is finalized");
  Attribute attribute{type, count, {}, {}};
  if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR) {
    const auto* const children = static_cast<const cudnnBackendDescriptor_t*>(elements);
    for (int64_t i = 0; i < count; ++i) {
      const auto* const child = static_cast<const Descriptor*>(children[i]);
      if (child == nullptr || !child->is_finalized) {
        return refuse(CUDNN_STATUS_BAD_PARAM, "a descriptor in it is not finalized");
      }
      attribute.descriptors.push_back(std::make_shared<const Descriptor>(*child));
    }
  } else {
    const auto* const bytes = static_cast<const std::byte*>(elements);
    attribute.bytes.assign(bytes, bytes + static_cast<size_t>(count) * bytes_of(type));
  }
  to.attributes[name] = std::move(attribute);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t const descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t requested,
                                       int64_t* count, void* elements) {
  FAKE_CALL();
  const auto& from = *static_cast<const Descriptor*>(descriptor);
  if (!from.is_finalized) return refuse(CUDNN_STATUS_BAD_PARAM, "it is not finalized");
  return answer_about(from, name, {type, requested, count, elements});
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor) {
  FAKE_CALL();
  auto& d = *static_cast<Descriptor*>(descriptor);
  for (const cudnnBackendAttributeName_t name : known_attributes().at(d.type).needed) {
    if (!d.has(name)) {
      return refuse(CUDNN_STATUS_BAD_PARAM, "attribute " + std::to_string(name) + " is not set");
    }
  }
  if (d.type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR) {
    d.graph = graph_of(graph_of_engine_config(d.child(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG)));
    const std::string unknown = find_unknown(d.graph);
    if (!unknown.empty()) return refuse(CUDNN_STATUS_NOT_SUPPORTED, unknown);
    ++state().plans;
  }
  d.is_finalized = true;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                                  cudnnBackendDescriptor_t variant_pack) {
  FAKE_CALL();
  if (state().fails_at > 0 && --state().fails_at == 0) {
    return refuse(CUDNN_STATUS_INTERNAL_ERROR, "this pass");
  }
  if (handle->stream == nullptr) return refuse(CUDNN_STATUS_BAD_PARAM, "the stream of the handle");
  const Graph& graph = static_cast<const Descriptor*>(plan)->graph;
  const auto& pack = *static_cast<const Descriptor*>(variant_pack);
  if (!pack.is_finalized || graph.empty()) return refuse(CUDNN_STATUS_BAD_PARAM, "not finalized");
  std::string wrong;
  std::map<int64_t, void*> memory = memory_of(graph, pack, &wrong);
  const auto bytes = static_cast<size_t>(workspace_bytes(graph));
  void* const workspace = pack.one<void*>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, nullptr);
  if (bytes > 0 && !pg::fake_cuda::is_of_device(workspace, bytes)) wrong = "working memory";
  if (!wrong.empty()) return refuse(CUDNN_STATUS_BAD_PARAM, wrong);
  pg::fake_cuda::give([graph, memory, numbers = numbers_of(graph, memory), workspace, bytes,
                       factor = state().factor]() mutable {
    for (auto& [id, number] : numbers) memory[id] = number.data();
    if (bytes > 0) std::memset(workspace, 0xff, bytes);
    compute(graph, memory, factor);
    ++state().passes;
  });
  return CUDNN_STATUS_SUCCESS;
}

}  // extern "C"
