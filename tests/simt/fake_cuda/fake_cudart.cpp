#include <cuda_runtime_api.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/simt/fake_cuda/fake_cuda.h"
#include "tests/simt/fake_cuda/fake_streams.h"

namespace pg::fake_cuda {
namespace {

struct Allocation {
  size_t bytes = 0;
  int device = 0;  // kOfHost: pinned memory
};
constexpr int kOfHost = -1;

struct State {
  int64_t calls = 0, fails_at = 0, live = 0, graph_launches = 0;
  CallPlace fails, drops;  // without a name: none
  std::map<std::string, int64_t> calls_of[kDevices];
  std::string failed;
  bool refuses_graphs = false, lacks_code = false;
  int devices = kDevices;
  std::string last_kind = "Fake H100";
  std::map<const std::byte*, Allocation> allocations;
};

State& state() {
  static State the_state;
  return the_state;
}

thread_local cudaError_t last_error = cudaSuccess;
thread_local bool has_device = false;

cudaError_t fail(cudaError_t error) { return last_error = error; }

// What holds the address, or null.
const Allocation* find_allocation(const void* memory, size_t bytes) {
  const auto* const begin = static_cast<const std::byte*>(memory);
  auto after = state().allocations.upper_bound(begin);
  if (after == state().allocations.begin()) return nullptr;
  --after;
  return begin + bytes <= after->first + after->second.bytes ? &after->second : nullptr;
}

void begin_counting() {
  state().calls = 0;
  state().fails_at = 0;
  state().fails = state().drops = {};
  for (auto& calls : state().calls_of) calls.clear();
  state().failed.clear();
}

}  // namespace

void fail_call(int64_t number) {
  const std::lock_guard lock(world());
  begin_counting();
  state().fails_at = number;
}
void fail_call(const CallPlace& place) {
  const std::lock_guard lock(world());
  begin_counting();
  state().fails = place;
}
void drop_call(const CallPlace& place) {
  const std::lock_guard lock(world());
  begin_counting();
  state().drops = place;
}
int64_t count_calls() {
  const std::lock_guard lock(world());
  return state().calls;
}
std::map<std::string, int64_t> count_calls_of(int gpu) {
  const std::lock_guard lock(world());
  return state().calls_of[gpu];
}
std::string name_of_failed_call() {
  const std::lock_guard lock(world());
  return state().failed;
}
void lack_code(bool lacks) {
  const std::lock_guard lock(world());
  state().lacks_code = lacks;
}
bool is_launch_refused() {
  if (state().lacks_code) fail(cudaErrorNoKernelImageForDevice);
  return state().lacks_code;
}
void refuse_graphs(bool refuses) {
  const std::lock_guard lock(world());
  state().refuses_graphs = refuses;
}
int64_t count_graph_launches() {
  const std::lock_guard lock(world());
  return state().graph_launches;
}
int64_t count_live() {
  const std::lock_guard lock(world());
  return state().live;
}
int current_device() { return device_of_thread(); }
void show_devices(int count, const std::string& last_kind) {
  const std::lock_guard lock(world());
  state().devices = count;
  state().last_kind = last_kind;
}

CallFate count_call(const char* call) {
  State& s = state();
  if (++s.calls == s.fails_at) {
    s.failed = call;
    return CallFate::kFail;
  }
  if (!has_device) return CallFate::kDo;
  const int64_t number = ++s.calls_of[device_of_thread()][call];
  const auto is_at = [&](const CallPlace& place) {
    return place.name == call && place.number == number && place.gpu == device_of_thread();
  };
  if (is_at(s.drops)) return CallFate::kDrop;
  if (!is_at(s.fails)) return CallFate::kDo;
  s.failed = call;
  return CallFate::kFail;
}

void add_live(int64_t count) { state().live += count; }

bool is_of_device(const void* memory, size_t bytes, int device) {
  const Allocation* const found = find_allocation(memory, bytes);
  return found != nullptr && found->device == device;
}
bool is_of_device(const void* memory, size_t bytes) {
  return is_of_device(memory, bytes, device_of_thread());
}

}  // namespace pg::fake_cuda

struct CUgraph_st {
  std::vector<pg::fake_cuda::Work> work;
};
struct CUgraphExec_st {
  std::vector<pg::fake_cuda::Work> work;
};

using namespace pg::fake_cuda;

// A call that changes nothing when it fails, or is left out.
#define FAKE_CALL(error)                                                   \
  const std::lock_guard lock(world());                                     \
  if (const CallFate fate = count_call(__func__); fate != CallFate::kDo) { \
    return fate == CallFate::kDrop ? cudaSuccess : fail(error);            \
  }

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
  const std::lock_guard lock(world());
  delete handle;
  add_live(-1);
  return is_to_fail(call) ? fail(cudaErrorUnknown) : cudaSuccess;
}

cudaError_t allocate(void** memory, size_t bytes, int device) {
  *memory = checker().allocate(bytes);
  std::memset(*memory, 0xff, bytes);  // it is not zeroed
  state().allocations[static_cast<std::byte*>(*memory)] = {bytes, device};
  add_live(1);
  return cudaSuccess;
}

cudaError_t release(void* memory, const char* call, bool is_of_host) {
  const auto found = state().allocations.find(static_cast<std::byte*>(memory));
  if (found == state().allocations.end() || (found->second.device == kOfHost) != is_of_host) {
    return fail(cudaErrorInvalidValue);
  }
  const size_t bytes = found->second.bytes;
  const uint32_t piece = begin_host_piece(call);
  state().allocations.erase(found);
  checker().release(memory, bytes, piece);
  add_live(-1);
  return is_to_fail(call) ? fail(cudaErrorUnknown) : cudaSuccess;
}

std::string describe(const char* what, size_t bytes) {
  return std::string(what) + " of " + std::to_string(bytes) + " bytes";
}

}  // namespace

extern "C" {

const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorMemoryAllocation ? "out of memory" : "an error of the fake";
}
cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }

cudaError_t cudaGetDeviceCount(int* count) {
  FAKE_CALL(cudaErrorNoDevice);
  *count = state().devices;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  FAKE_CALL(cudaErrorInvalidDevice);
  if (device < 0 || device >= state().devices) return fail(cudaErrorInvalidDevice);
  has_device = true;
  begin_thread(device);
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  FAKE_CALL(cudaErrorInvalidDevice);
  *properties = {};
  const std::string kind = device + 1 == state().devices ? state().last_kind : "Fake H100";
  kind.copy(properties->name, sizeof properties->name - 1);
  properties->uuid.bytes[0] = static_cast<char>(device + 1);
  properties->major = 9;
  properties->multiProcessorCount = 132;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** memory, size_t bytes) {
  FAKE_CALL(cudaErrorMemoryAllocation);
  return is_thread_recording() ? fail(cudaErrorStreamCaptureUnsupported)
                               : allocate(memory, bytes, device_of_thread());
}
// As CUDA does it waits for the device.
cudaError_t cudaFree(void* memory) {
  const std::lock_guard lock(world());
  if (memory == nullptr) return cudaSuccess;
  run_until_idle(device_of_thread());
  return release(memory, __func__, false);
}
cudaError_t cudaHostAlloc(void** memory, size_t bytes, unsigned) {
  FAKE_CALL(cudaErrorMemoryAllocation);
  return allocate(memory, bytes, kOfHost);
}
cudaError_t cudaMallocHost(void** memory, size_t bytes) { return cudaHostAlloc(memory, bytes, 0); }
cudaError_t cudaFreeHost(void* memory) {
  const std::lock_guard lock(world());
  run_until_idle(device_of_thread());
  return release(memory, __func__, true);
}
cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total_bytes) {
  FAKE_CALL(cudaErrorUnknown);
  *free_bytes = size_t{1} << 30;
  *total_bytes = size_t{80} << 30;
  return cudaSuccess;
}

// Memory that is not pinned is read before the call returns, or holds the values then.
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  FAKE_CALL(cudaErrorUnknown);
  const bool to_device = kind != cudaMemcpyDeviceToHost;
  const bool from_device = kind != cudaMemcpyHostToDevice;
  if (!is_stream(stream) || to_device != is_of_device(to, bytes) ||
      from_device != is_of_device(from, bytes)) {
    return fail(cudaErrorInvalidValue);
  }
  if (stream->is_recording && kind != cudaMemcpyDeviceToDevice) {
    return fail(cudaErrorStreamCaptureUnsupported);
  }
  Work work;
  work.name = describe(!to_device ? "download" : from_device ? "copy" : "upload", bytes);
  work.writes = {{to, bytes}};
  if (!from_device && find_allocation(from, bytes) == nullptr) {
    const auto* const begin = static_cast<const std::byte*>(from);
    work.run = [to, values = std::vector<std::byte>(begin, begin + bytes)] {
      std::memcpy(to, values.data(), values.size());
    };
  } else {
    work.reads = {{from, bytes}};
    work.run = [=] { std::memcpy(to, from, bytes); };
  }
  give(stream, std::move(work));
  if (to_device || find_allocation(to, bytes) != nullptr) return cudaSuccess;
  return run_until_empty(stream) ? cudaSuccess : fail(cudaErrorLaunchTimeout);
}
cudaError_t cudaMemsetAsync(void* memory, int value, size_t bytes, cudaStream_t stream) {
  FAKE_CALL(cudaErrorUnknown);
  if (!is_stream(stream) || !is_of_device(memory, bytes)) return fail(cudaErrorInvalidValue);
  give(stream, {describe("filling", bytes), {}, {{memory, bytes}}, [=] {
                  std::memset(memory, value, bytes);
                }});
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  FAKE_CALL(cudaErrorUnknown);
  *stream = make_stream();
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  FAKE_CALL(cudaErrorUnknown);
  if (stream->is_recording) return fail(cudaErrorStreamCaptureUnsupported);
  return run_until_empty(stream) ? cudaSuccess : fail(cudaErrorLaunchTimeout);
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const std::lock_guard lock(world());
  end_stream(stream);
  return is_to_fail(__func__) ? fail(cudaErrorUnknown) : cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  FAKE_CALL(cudaErrorUnknown);
  if (!is_stream(stream)) return fail(cudaErrorInvalidValue);
  give_wait(stream, event);
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  FAKE_CALL(cudaErrorUnknown);
  return make_handle(event);
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  FAKE_CALL(cudaErrorUnknown);
  if (!is_stream(stream)) return fail(cudaErrorInvalidValue);
  if (stream->is_recording) return fail(cudaErrorStreamCaptureUnsupported);
  give_record(stream, event);
  return cudaSuccess;
}
// It is never done at first, and what was given goes on while a host asks.
cudaError_t cudaEventQuery(cudaEvent_t event) {
  FAKE_CALL(cudaErrorUnknown);
  run_some();
  const bool is_done = event->last == nullptr || event->last->is_done;
  if (!std::exchange(event->is_asked_about, true) || !is_done) return fail(cudaErrorNotReady);
  return run_until_done(event->last) ? cudaSuccess : fail(cudaErrorLaunchTimeout);
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  FAKE_CALL(cudaErrorUnknown);
  return run_until_done(event->last) ? cudaSuccess : fail(cudaErrorLaunchTimeout);
}
cudaError_t cudaEventDestroy(cudaEvent_t event) { return give_back(event, __func__); }

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  FAKE_CALL(cudaErrorUnknown);
  if (std::exchange(stream->is_recording, true)) return fail(cudaErrorIllegalState);
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const std::lock_guard lock(world());
  *graph = nullptr;
  std::vector<Work> work = take_recorded(stream);
  if (is_to_fail(__func__)) return fail(cudaErrorStreamCaptureInvalidated);
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
  for (Work& work : (*executable)->work) work.name += " of a graph";
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) { return give_back(graph, __func__); }
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  FAKE_CALL(cudaErrorUnknown);
  ++state().graph_launches;
  for (const Work& work : executable->work) give(stream, work);
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  return give_back(executable, __func__);
}

}  // extern "C"
