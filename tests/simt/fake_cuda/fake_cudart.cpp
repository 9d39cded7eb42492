#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/simt/fake_cuda/fake_cuda.h"
#include "tests/simt/fake_cuda/fake_recording.h"
#include "tests/simt/fake_cuda/fake_state.h"

namespace pg::fake_cuda {
namespace {

using Work = std::vector<std::function<void()>>;

struct State {
  int64_t calls = 0, fails_at = 0, live = 0, graph_launches = 0;
  std::string failed;
  bool refuses_graphs = false;
  cudaError_t last = cudaSuccess;
  int device = 0;
  std::map<const std::byte*, size_t> device_memory;
  std::set<const void*> asked_about;  // events that were not done when they were asked about
};

State& state() {
  static State the_state;
  return the_state;
}

cudaError_t fail(cudaError_t error) { return state().last = error; }

}  // namespace

void fail_call(int64_t number) {
  state().calls = 0;
  state().fails_at = number;
  state().failed.clear();
}
int64_t count_calls() { return state().calls; }
std::string name_of_failed_call() { return state().failed; }
void refuse_graphs(bool refuses) { state().refuses_graphs = refuses; }
int64_t count_graph_launches() { return state().graph_launches; }
int64_t count_live() { return state().live; }
int current_device() { return state().device; }

bool is_to_fail(const char* call) {
  if (++state().calls != state().fails_at) return false;
  state().failed = call;
  return true;
}

void give(std::function<void()> work) {
  if (is_recording()) return record(std::move(work));
  work();
}

void add_live(int64_t count) { state().live += count; }

bool is_of_device(const void* memory, size_t bytes) {
  const auto* const begin = static_cast<const std::byte*>(memory);
  auto after = state().device_memory.upper_bound(begin);
  if (after == state().device_memory.begin()) return false;
  --after;
  return begin + bytes <= after->first + after->second;
}

}  // namespace pg::fake_cuda

// Handles: what they point to says nothing.
struct CUstream_st {};
struct CUevent_st {};
struct CUgraph_st {
  pg::fake_cuda::Work work;
};
struct CUgraphExec_st {
  pg::fake_cuda::Work work;
};

using namespace pg::fake_cuda;

// A call that changes nothing when it fails.
#define FAKE_CALL(error) \
  if (is_to_fail(__func__)) return fail(error)

namespace {

template <class Handle>
cudaError_t make_handle(Handle** handle) {
  *handle = new Handle;
  add_live(1);
  return cudaSuccess;
}
// What is given back is gone, also where the call says that it failed.
template <class Handle>
cudaError_t give_back(Handle* handle, const char* call) {
  delete handle;
  add_live(-1);
  return is_to_fail(call) ? fail(cudaErrorUnknown) : cudaSuccess;
}

cudaError_t allocate(void** memory, size_t bytes, bool is_of_device_memory) {
  constexpr size_t kAlignment = 256;
  const size_t rounded = (std::max<size_t>(bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
  *memory = std::aligned_alloc(kAlignment, rounded);
  std::memset(*memory, 0xff, rounded);  // it is not zeroed
  if (is_of_device_memory) state().device_memory[static_cast<std::byte*>(*memory)] = bytes;
  add_live(1);
  return cudaSuccess;
}

}  // namespace

extern "C" {

const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorMemoryAllocation ? "out of memory" : "an error of the fake";
}
cudaError_t cudaGetLastError() { return std::exchange(state().last, cudaSuccess); }

cudaError_t cudaGetDeviceCount(int* count) {
  FAKE_CALL(cudaErrorNoDevice);
  *count = kDevices;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  FAKE_CALL(cudaErrorInvalidDevice);
  if (device < 0 || device >= kDevices) return fail(cudaErrorInvalidDevice);
  state().device = device;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  FAKE_CALL(cudaErrorInvalidDevice);
  *properties = {};
  constexpr char kName[] = "Fake H100";
  std::memcpy(properties->name, kName, sizeof kName);
  properties->major = 9;
  properties->multiProcessorCount = 132;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  FAKE_CALL(cudaErrorMemoryAllocation);
  return is_recording() ? fail(cudaErrorStreamCaptureUnsupported) : allocate(memory, bytes, true);
}
cudaError_t cudaFree(void* memory) {
  if (memory == nullptr) return cudaSuccess;
  if (state().device_memory.erase(static_cast<std::byte*>(memory)) != 1) {
    return fail(cudaErrorInvalidValue);
  }
  std::free(memory);
  add_live(-1);
  return is_to_fail("cudaFree") ? fail(cudaErrorUnknown) : cudaSuccess;
}
cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned) {
  FAKE_CALL(cudaErrorMemoryAllocation);
  return allocate(memory, bytes, false);
}
cudaError_t cudaMallocHost(void** memory, size_t bytes) { return cudaHostAlloc(memory, bytes, 0); }
cudaError_t cudaFreeHost(void* memory) {
  std::free(memory);
  add_live(-1);
  return is_to_fail("cudaFreeHost") ? fail(cudaErrorUnknown) : cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total_bytes) {
  FAKE_CALL(cudaErrorUnknown);
  *free_bytes = size_t{1} << 30;
  *total_bytes = size_t{80} << 30;
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t) {
  FAKE_CALL(cudaErrorUnknown);
  const bool to_device = kind != cudaMemcpyDeviceToHost;
  const bool from_device = kind != cudaMemcpyHostToDevice;
  if (is_of_device(to, bytes) != to_device || is_of_device(from, bytes) != from_device) {
    return fail(cudaErrorInvalidValue);
  }
  if (is_recording() && kind != cudaMemcpyDeviceToDevice) {
    return fail(cudaErrorStreamCaptureUnsupported);
  }
  give([=] { std::memcpy(to, from, bytes); });
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t) {
  FAKE_CALL(cudaErrorUnknown);
  if (!is_of_device(memory, bytes)) return fail(cudaErrorInvalidValue);
  give([=] { std::memset(memory, value, bytes); });
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  FAKE_CALL(cudaErrorUnknown);
  return make_handle(stream);
}
cudaError_t cudaStreamSynchronize(cudaStream_t) {
  FAKE_CALL(cudaErrorUnknown);
  return is_recording() ? fail(cudaErrorStreamCaptureUnsupported) : cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) { return give_back(stream, __func__); }

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  FAKE_CALL(cudaErrorUnknown);
  return make_handle(event);
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t) {
  FAKE_CALL(cudaErrorUnknown);
  state().asked_about.erase(event);
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  FAKE_CALL(cudaErrorUnknown);
  return state().asked_about.insert(event).second ? fail(cudaErrorNotReady) : cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t) {
  FAKE_CALL(cudaErrorUnknown);
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  state().asked_about.erase(event);
  return give_back(event, __func__);
}

cudaError_t cudaStreamBeginCapture(cudaStream_t, cudaStreamCaptureMode) {
  FAKE_CALL(cudaErrorUnknown);
  if (is_recording()) return fail(cudaErrorIllegalState);
  begin_recording();
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t* graph) {
  *graph = nullptr;
  Work work = end_recording();
  FAKE_CALL(cudaErrorStreamCaptureInvalidated);
  if (state().refuses_graphs) return fail(cudaErrorStreamCaptureInvalidated);
  make_handle(graph);
  (*graph)->work = std::move(work);
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long) {
  FAKE_CALL(cudaErrorUnknown);
  make_handle(executable);
  (*executable)->work = graph->work;
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) { return give_back(graph, __func__); }
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t) {
  FAKE_CALL(cudaErrorUnknown);
  ++state().graph_launches;
  for (const auto& work : executable->work) work();
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  return give_back(executable, __func__);
}

}  // extern "C"
