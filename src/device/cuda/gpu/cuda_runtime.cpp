// GpuRuntime on the CUDA runtime and cuBLASLt, and the one symbol of the module device_cuda.so. The
// program opens it when a run asks for a GPU (src/device/registry/load_cuda.h), so that it starts
// where neither CUDA nor a driver is installed.
#include <cublasLt.h>
#include <cuda_runtime.h>

#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <string_view>
#include <tuple>
#include <vector>

#include "src/base/error.h"
#include "src/device/comm/nccl/comm_nccl.h"
#include "src/device/cuda/cudnn/cudnn_attention.h"
#include "src/device/cuda/gpu_device.h"

namespace pg {
namespace {

constexpr size_t kWorkspaceBytes = size_t{32} << 20;  // what NVIDIA advises for Hopper

void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // it is told here, and not again by what comes after
  if (status == cudaErrorNoKernelImageForDevice) {
    throw Error(
        "CUDA: this build has no code for the GPU's architecture; configure it without "
        "CMAKE_CUDA_ARCHITECTURES, or with the GPU's (native), and build again");
  }
  throw Error(std::string("CUDA: ") + what + ": \"" + cudaGetErrorString(status) + "\"");
}

void check(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw Error(std::string("cuBLASLt: ") + what + ": \"" + cublasLtGetStatusString(status) + "\"");
}

cudaDataType_t data_type(DType dtype) { return dtype == DType::kBF16 ? CUDA_R_16BF : CUDA_R_32F; }

// A handle that is destroyed with its owner.
template <class Handle, class Status, Status (*destroy)(Handle)>
struct Owned {
  Handle handle = nullptr;
  Owned() = default;
  Owned(Owned&& other) noexcept { std::swap(handle, other.handle); }
  Owned& operator=(Owned&& other) noexcept {
    std::swap(handle, other.handle);
    return *this;
  }
  ~Owned() {
    if (handle != nullptr) destroy(handle);
  }
};
using Library = Owned<cublasLtHandle_t, cublasStatus_t, cublasLtDestroy>;
using Operation = Owned<cublasLtMatmulDesc_t, cublasStatus_t, cublasLtMatmulDescDestroy>;
using Layout = Owned<cublasLtMatrixLayout_t, cublasStatus_t, cublasLtMatrixLayoutDestroy>;
using Preference =
    Owned<cublasLtMatmulPreference_t, cublasStatus_t, cublasLtMatmulPreferenceDestroy>;

// cuBLASLt's matrices lie by columns, so it is given the transposed product: dT = bT aT.
struct ProductPlan {
  Operation operation;
  Layout a, b, c, d;  // of the transposed product: its a is our b
  cublasLtMatmulAlgo_t algorithm{};
};

// The largest power of two up to 256 that divides the address.
uint32_t alignment_of(const void* pointer) {
  const auto address = reinterpret_cast<uintptr_t>(pointer) | 256u;
  return static_cast<uint32_t>(address & (~address + 1));
}

Layout make_layout(DType dtype, int64_t rows, int64_t cols, int64_t stride, int64_t batch,
                   int64_t batch_stride) {
  Layout layout;
  check(cublasLtMatrixLayoutCreate(&layout.handle, data_type(dtype), static_cast<uint64_t>(rows),
                                   static_cast<uint64_t>(cols), stride),
        "matrix layout");
  const int32_t count = static_cast<int32_t>(batch);
  check(cublasLtMatrixLayoutSetAttribute(layout.handle, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count,
                                         sizeof count),
        "batch count");
  check(cublasLtMatrixLayoutSetAttribute(layout.handle, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                         &batch_stride, sizeof batch_stride),
        "batch stride");
  return layout;
}

// By columns, a matrix [rows, cols] by rows is its transpose.
Layout operand_layout(const GpuMatrix& m, int64_t rows, int64_t cols, int64_t batch) {
  return m.is_transposed ? make_layout(m.dtype, rows, cols, m.stride, batch, m.batch_stride)
                         : make_layout(m.dtype, cols, rows, m.stride, batch, m.batch_stride);
}

ProductPlan make_plan(cublasLtHandle_t library, const GpuProduct& p) {
  ProductPlan plan;
  check(cublasLtMatmulDescCreate(&plan.operation.handle, CUBLAS_COMPUTE_32F, CUDA_R_32F),
        "product");
  const auto set_transposed = [&](cublasLtMatmulDescAttributes_t which, bool is_transposed) {
    const cublasOperation_t value = is_transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    check(cublasLtMatmulDescSetAttribute(plan.operation.handle, which, &value, sizeof value),
          "transposition");
  };
  set_transposed(CUBLASLT_MATMUL_DESC_TRANSA, p.b.is_transposed);
  set_transposed(CUBLASLT_MATMUL_DESC_TRANSB, p.a.is_transposed);
  plan.a = operand_layout(p.b, p.inner, p.cols, p.batch);
  plan.b = operand_layout(p.a, p.rows, p.inner, p.batch);
  plan.d = make_layout(p.d_type, p.cols, p.rows, p.d_stride, p.batch, p.d_batch_stride);
  plan.c = p.beta == 0
               ? make_layout(p.d_type, p.cols, p.rows, p.d_stride, p.batch, p.d_batch_stride)
               : make_layout(p.c.dtype, p.cols, p.rows, p.c.stride, p.batch, p.c.batch_stride);

  Preference preference;
  check(cublasLtMatmulPreferenceCreate(&preference.handle), "preference");
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t which, auto value) {
    check(cublasLtMatmulPreferenceSetAttribute(preference.handle, which, &value, sizeof value),
          "preference");
  };
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspaceBytes);
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment_of(p.b.data));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment_of(p.a.data));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment_of(p.beta == 0 ? p.d : p.c.data));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment_of(p.d));
  cublasLtMatmulHeuristicResult_t found{};
  int count = 0;
  check(cublasLtMatmulAlgoGetHeuristic(library, plan.operation.handle, plan.a.handle, plan.b.handle,
                                       plan.c.handle, plan.d.handle, preference.handle, 1, &found,
                                       &count),
        "choice of an algorithm");
  check(count == 0 ? CUBLAS_STATUS_NOT_SUPPORTED : found.state, "choice of an algorithm");
  plan.algorithm = found.algo;
  return plan;
}

// All that the choice of an algorithm depends on.
auto key_of(const GpuProduct& p) {
  const auto operand = [](const GpuMatrix& m) {
    return std::tuple(m.dtype, m.stride, m.is_transposed, m.batch_stride, alignment_of(m.data));
  };
  return std::tuple(p.rows, p.cols, p.inner, p.batch, operand(p.a), operand(p.b),
                    p.beta == 0 ? operand(GpuMatrix{}) : operand(p.c), p.d_type, p.d_stride,
                    p.d_batch_stride, alignment_of(p.d), p.beta != 0);
}

class CudaGraph final : public GpuGraph {
 public:
  CudaGraph(cudaGraphExec_t graph, cudaStream_t stream) : graph_(graph), stream_(stream) {}
  ~CudaGraph() override {
    cudaStreamSynchronize(stream_);
    cudaGraphExecDestroy(graph_);
  }
  void launch() override { check(cudaGraphLaunch(graph_, stream_), "launching a graph"); }

 private:
  cudaGraphExec_t graph_;
  cudaStream_t stream_;
};

// What computes attention, by the device's name.
enum class AttentionBy { kOwnKernels, kCudnn, kCudnnForward };
AttentionBy attention_by(std::string_view device) {
  if (device == "cuda:cudnn") return AttentionBy::kCudnn;
  return device == "cuda:cudnn_forward" ? AttentionBy::kCudnnForward : AttentionBy::kOwnKernels;
}

class CudaRuntime final : public GpuRuntime {
 public:
  // On GPU number `place`, counted around.
  CudaRuntime(int place, AttentionBy attention_by) : attention_by_(attention_by) {
    cudaGetLastError();  // of one before this, as it ended
    int devices = 0;
    check(cudaGetDeviceCount(&devices), "looking for a GPU");
    if (devices == 0) throw Error("CUDA: there is no GPU; use --device cpu");
    const int device = place % devices;
    check(cudaSetDevice(device), "choosing a GPU");
    check(cudaGetDeviceProperties(&properties_, device), "properties of the GPU");
    cudaDeviceProp first{};
    check(cudaGetDeviceProperties(&first, 0), "properties of the GPU");
    if (std::string_view(first.name) != properties_.name) {
      throw Error("CUDA: ranks on GPUs of different kinds, \"" + std::string(first.name) +
                  "\" and \"" + properties_.name +
                  "\", would not agree; choose some of one kind with CUDA_VISIBLE_DEVICES");
    }
    if (properties_.major < 8) {
      throw Error("CUDA: \"" + std::string(properties_.name) + "\" has compute capability " +
                  std::to_string(properties_.major) + "." + std::to_string(properties_.minor) +
                  "; 8.0 is the least (A100 and later)");
    }
    check(cudaStreamCreateWithFlags(&owned_stream_.handle, cudaStreamNonBlocking), "stream");
    stream_ = owned_stream_.handle;
    check(cublasLtCreate(&library_.handle), "start");
    if (attention_by_ != AttentionBy::kOwnKernels) {
      attention_ = std::make_unique<RecordableAttention>(
          *this, make_cudnn_attention(stream_, properties_.major * 10 + properties_.minor));
    }
    workspace_ = allocate(kWorkspaceBytes);
  }
  ~CudaRuntime() override {
    cudaStreamSynchronize(stream_);
    release(workspace_);
    // Where downloads were to go may be gone: whoever failed did not wait for them.
    for (const Download& download : downloads_) free_pinned_.push_back(download.staging);
    for (const Pinned& pinned : free_pinned_) cudaFreeHost(pinned.memory);
    for (const cudaEvent_t event : free_events_) cudaEventDestroy(event);
    for (const auto& [number, event] : events_) cudaEventDestroy(event);
  }

  std::string description() const override {
    return std::string(properties_.name) + ", " + std::to_string(properties_.multiProcessorCount) +
           " multiprocessors" +
           (attention_ != nullptr ? ", attention by " + attention_->description() : "") +
           (attention_by_ == AttentionBy::kCudnnForward ? " forward alone" : "");
  }
  kernels::Stream stream() const override { return stream_; }
  int64_t filling_product() const override { return 8192; }
  size_t filling_copy() const override { return size_t{1} << 30; }

  bool memory_is_host() const override { return false; }
  void* allocate(size_t bytes) override {
    void* memory = nullptr;
    const cudaError_t status = cudaMalloc(&memory, std::max<size_t>(bytes, 1));
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();  // it would show in the next launch
      size_t free_bytes = 0, total_bytes = 0;
      cudaMemGetInfo(&free_bytes, &total_bytes);
      throw Error("CUDA: not enough memory: " + std::to_string(bytes >> 20) + " MiB asked for, " +
                  std::to_string(free_bytes >> 20) + " of " + std::to_string(total_bytes >> 20) +
                  " MiB free; use a smaller train.micro_batch_tokens");
    }
    check(status, "allocation");
    try {
      fill_zero(memory, bytes);
    } catch (...) {
      release(memory);
      throw;
    }
    return memory;
  }
  void release(void* memory) override { cudaFree(memory); }
  void upload(void* device_to, const void* host_from, size_t bytes) override {
    copy_bytes(device_to, host_from, bytes, cudaMemcpyHostToDevice);
  }
  void download(void* host_to, const void* device_from, size_t bytes) override {
    copy_bytes(host_to, device_from, bytes, cudaMemcpyDeviceToHost);
    synchronize();
  }
  // By way of pinned memory: a copy to any other would wait here for all work before it.
  void start_download(void* host_to, const void* device_from, size_t bytes) override {
    if (bytes == 0) return;
    const Pinned staging = take_pinned(bytes);
    try {
      copy_bytes(staging.memory, device_from, bytes, cudaMemcpyDeviceToHost);
    } catch (...) {
      free_pinned_.push_back(staging);
      throw;
    }
    downloads_.push_back({last_event_ + 1, host_to, bytes, staging});
  }
  void copy(void* device_to, const void* device_from, size_t bytes) override {
    copy_bytes(device_to, device_from, bytes, cudaMemcpyDeviceToDevice);
  }
  void fill_zero(void* memory, size_t bytes) override {
    check_work(cudaMemsetAsync(memory, 0, bytes, stream_), "filling with zeros");
  }

  uint64_t record() override {
    check_launches();
    if (free_events_.empty()) {
      cudaEvent_t made = nullptr;
      check(cudaEventCreateWithFlags(&made, cudaEventDisableTiming), "event");
      free_events_.push_back(made);
    }
    const cudaEvent_t event = free_events_.back();
    check(cudaEventRecord(event, stream_), "recording an event");
    free_events_.pop_back();
    events_.emplace(++last_event_, event);
    return last_event_;
  }
  bool is_done(uint64_t number) override {
    const auto found = events_.find(number);
    if (found == events_.end()) return true;
    check_launches();
    const cudaError_t status = cudaEventQuery(found->second);
    if (status == cudaErrorNotReady) {
      cudaGetLastError();  // it would show as a launch's
      return false;
    }
    check(status, "work on the GPU");
    forget_through(number);
    return true;
  }
  void wait(uint64_t number) override {
    const auto found = events_.find(number);
    if (found == events_.end()) return;
    check(cudaEventSynchronize(found->second), "work on the GPU");
    forget_through(number);
  }
  void synchronize() override {
    check_launches();
    check(cudaStreamSynchronize(stream_), "work on the GPU");
    forget_through(last_event_);
    finish_downloads(last_event_ + 1);
  }

  void multiply(const GpuProduct& p) override {
    const auto key = key_of(p);
    auto found = plans_.find(key);
    if (found == plans_.end()) found = plans_.emplace(key, make_plan(library_.handle, p)).first;
    const ProductPlan& plan = found->second;
    check_work(cublasLtMatmul(library_.handle, plan.operation.handle, &p.alpha, p.b.data,
                              plan.a.handle, p.a.data, plan.b.handle, &p.beta,
                              p.beta == 0 ? p.d : p.c.data, plan.c.handle, p.d, plan.d.handle,
                              &plan.algorithm, workspace_, kWorkspaceBytes, stream_),
               "product");
  }

  GpuAttention* library_attention(bool is_backward) override {
    const bool is_own = is_backward && attention_by_ == AttentionBy::kCudnnForward;
    return is_own ? nullptr : attention_.get();
  }

  // Of this thread alone: what others do beside it, as a checkpoint's writer, goes on.
  void begin_graph() override {
    check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "recording a graph");
    is_recording_ = true;
    is_recorded_ = true;
  }
  std::unique_ptr<GpuGraph> end_graph() override {
    cudaGraph_t recorded = nullptr;
    cudaGraphExec_t graph = nullptr;
    is_recording_ = false;
    if (cudaGetLastError() != cudaSuccess) is_recorded_ = false;  // a launch
    if (cudaStreamEndCapture(stream_, &recorded) == cudaSuccess && recorded != nullptr) {
      if (!is_recorded_ || cudaGraphInstantiate(&graph, recorded, 0) != cudaSuccess) {
        graph = nullptr;
      }
      cudaGraphDestroy(recorded);
    }
    cudaGetLastError();  // a refusal would show in the next launch
    return graph == nullptr ? nullptr : std::make_unique<CudaGraph>(graph, stream_);
  }

  void join(Comm& host, DeviceLink& link) override {
    NcclSeat seat{stream_, properties_.name, {}};
    static_assert(sizeof seat.gpu_id == sizeof properties_.uuid);
    std::memcpy(seat.gpu_id.data(), &properties_.uuid, sizeof properties_.uuid);
    join_by_nccl(host, seat, link);
  }

 private:
  // A library's attention; what of it cannot be recorded is given once more as well.
  class RecordableAttention final : public GpuAttention {
   public:
    RecordableAttention(CudaRuntime& runtime, std::unique_ptr<GpuAttention> library)
        : runtime_(runtime), library_(std::move(library)) {}
    std::string description() const override { return library_->description(); }
    const GpuAttentionPlan* plan_forward(const GpuAttentionShape& shape) override {
      return library_->plan_forward(shape);
    }
    const GpuAttentionPlan& plan_backward(const GpuAttentionShape& shape) override {
      return library_->plan_backward(shape);
    }
    void run(const GpuAttentionShape& shape, const GpuAttentionForward& operands,
             void* workspace) override {
      record_or_run(shape, operands, workspace);
    }
    void run(const GpuAttentionShape& shape, const GpuAttentionBackward& operands,
             void* workspace) override {
      record_or_run(shape, operands, workspace);
    }

   private:
    template <class Operands>
    void record_or_run(const GpuAttentionShape& shape, const Operands& operands, void* workspace) {
      try {
        library_->run(shape, operands, workspace);
      } catch (const Error&) {
        if (!runtime_.is_recording_) throw;
        runtime_.is_recorded_ = false;
      }
    }
    CudaRuntime& runtime_;
    std::unique_ptr<GpuAttention> library_;
  };

  // What cannot be recorded is given once more, and tells then what is wrong.
  template <class Status>
  void check_work(Status status, const char* what) {
    if (!is_recording_) return check(status, what);
    if (status != Status{}) is_recorded_ = false;
  }
  // A launch that the driver refuses does nothing, and says so here alone.
  static void check_launches() { check(cudaGetLastError(), "launching a kernel"); }
  void copy_bytes(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
    if (bytes == 0) return;
    check_work(cudaMemcpyAsync(to, from, bytes, kind, stream_), "copying");
  }
  struct Pinned {
    void* memory = nullptr;
    size_t bytes = 0;
  };
  struct Download {
    uint64_t event;  // done when the copy is
    void* to;
    size_t bytes;
    Pinned staging;
  };

  Pinned take_pinned(size_t bytes) {
    for (size_t i = 0; i < free_pinned_.size(); ++i) {
      if (free_pinned_[i].bytes < bytes) continue;
      const Pinned taken = free_pinned_[i];
      free_pinned_.erase(free_pinned_.begin() + static_cast<std::ptrdiff_t>(i));
      return taken;
    }
    Pinned made{nullptr, bytes};
    check(cudaMallocHost(&made.memory, bytes), "pinned memory");
    return made;
  }
  void finish_downloads(uint64_t event) {
    while (!downloads_.empty() && downloads_.front().event <= event) {
      const Download& download = downloads_.front();
      std::memcpy(download.to, download.staging.memory, download.bytes);
      free_pinned_.push_back(download.staging);
      downloads_.pop_front();
    }
  }
  // Of one stream, an event that is done has all earlier ones behind it.
  void forget_through(uint64_t number) {
    finish_downloads(number);
    while (!events_.empty() && events_.begin()->first <= number) {
      free_events_.push_back(events_.begin()->second);
      events_.erase(events_.begin());
    }
  }

  cudaDeviceProp properties_{};
  Owned<cudaStream_t, cudaError_t, cudaStreamDestroy> owned_stream_;
  cudaStream_t stream_ = nullptr;  // that one
  Library library_;
  AttentionBy attention_by_;
  std::unique_ptr<GpuAttention> attention_;  // null: our own kernels
  void* workspace_ = nullptr;
  std::map<decltype(key_of(GpuProduct{})), ProductPlan> plans_;
  std::map<uint64_t, cudaEvent_t> events_;  // recorded and not known to be done
  std::vector<cudaEvent_t> free_events_;
  uint64_t last_event_ = 0;
  bool is_recording_ = false, is_recorded_ = false;  // a graph; all of it so far
  std::deque<Download> downloads_;                   // under way
  std::vector<Pinned> free_pinned_;
};

}  // namespace
}  // namespace pg

// A new device on GPU number `place`, counted around, or null with *refusal set to the reason, which lives until the
// thread's next call.
extern "C" __attribute__((visibility("default"))) pg::Device* pg_make_cuda_device(
    const char* name, bool is_bf16, int place, const char** refusal) {
  thread_local std::string reason;
  try {
    auto runtime = std::make_unique<pg::CudaRuntime>(place, pg::attention_by(name));
    return std::make_unique<pg::GpuDevice>(name, std::move(runtime),
                                           is_bf16 ? pg::DType::kBF16 : pg::DType::kF32)
        .release();
  } catch (const pg::Error& error) {
    reason = error.what();
    *refusal = reason.c_str();
    return nullptr;
  }
}

// GPUs that there are.
extern "C" __attribute__((visibility("default"))) int pg_count_cuda_devices() {
  int devices = 0;
  return cudaGetDeviceCount(&devices) == cudaSuccess ? devices : 0;
}
