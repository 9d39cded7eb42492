#include "src/device/simt/host_runtime.h"

#include <cstdlib>
#include <cstring>
#include <vector>

#include "src/base/check.h"
#include "src/base/error.h"

namespace pg {
namespace {

constexpr size_t kAlignment = 256;

float element(const GpuMatrix& matrix, int64_t i) {
  return matrix.dtype == DType::kBF16 ? static_cast<float>(static_cast<const bf16*>(matrix.data)[i])
                                      : static_cast<const float*>(matrix.data)[i];
}

// The matrix number `index` of a batch as f32 [rows, cols].
std::vector<float> unpack_matrix(const GpuMatrix& matrix, int64_t index, int64_t rows,
                                 int64_t cols) {
  std::vector<float> values(static_cast<size_t>(rows * cols));
  const int64_t row_step = matrix.is_transposed ? 1 : matrix.stride;
  const int64_t col_step = matrix.is_transposed ? matrix.stride : 1;
  const int64_t start = index * matrix.batch_stride;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) {
      values[static_cast<size_t>(r * cols + c)] =
          element(matrix, start + r * row_step + c * col_step);
    }
  }
  return values;
}

void multiply_now(const GpuProduct& p) {
  std::vector<float> sums(static_cast<size_t>(p.cols));
  for (int64_t index = 0; index < p.batch; ++index) {
    const std::vector<float> a = unpack_matrix(p.a, index, p.rows, p.inner);
    const std::vector<float> b = unpack_matrix(p.b, index, p.inner, p.cols);
    for (int64_t r = 0; r < p.rows; ++r) {
      std::fill(sums.begin(), sums.end(), 0.0f);
      for (int64_t k = 0; k < p.inner; ++k) {
        const float factor = a[static_cast<size_t>(r * p.inner + k)];
        const float* const b_row = &b[static_cast<size_t>(k * p.cols)];
        for (int64_t c = 0; c < p.cols; ++c) sums[static_cast<size_t>(c)] += factor * b_row[c];
      }
      for (int64_t c = 0; c < p.cols; ++c) {
        float value = p.alpha * sums[static_cast<size_t>(c)];
        if (p.beta != 0) {
          value += p.beta * element(p.c, index * p.c.batch_stride + r * p.c.stride + c);
        }
        const int64_t place = index * p.d_batch_stride + r * p.d_stride + c;
        if (p.d_type == DType::kBF16) {
          static_cast<bf16*>(p.d)[place] = bf16(value);
        } else {
          static_cast<float*>(p.d)[place] = value;
        }
      }
    }
  }
}

class HostGraph final : public GpuGraph {
 public:
  explicit HostGraph(std::vector<std::function<void()>> work) : work_(std::move(work)) {}
  void launch() override {
    for (const auto& give : work_) give();
  }

 private:
  std::vector<std::function<void()>> work_;
};

}  // namespace

std::string HostRuntime::description() const { return "1 thread, CUDA kernels on fibers"; }

void HostRuntime::give(std::function<void()> work) {
  if (recorder_) return recorder_->add(std::move(work));
  work();
}

void* HostRuntime::allocate(size_t bytes) {
  check_not_recording();
  const size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  void* const memory = std::aligned_alloc(kAlignment, std::max(rounded, kAlignment));
  if (memory == nullptr) throw Error("not enough memory: " + std::to_string(bytes) + " bytes");
  std::memset(memory, 0, rounded);
  return memory;
}

void HostRuntime::release(void* memory) { std::free(memory); }

void HostRuntime::upload(void* device_to, const void* host_from, size_t bytes) {
  check_not_recording();
  std::memcpy(device_to, host_from, bytes);
}
void HostRuntime::download(void* host_to, const void* device_from, size_t bytes) {
  check_not_recording();
  std::memcpy(host_to, device_from, bytes);
}
void HostRuntime::start_download(void* host_to, const void* device_from, size_t bytes) {
  download(host_to, device_from, bytes);
}
void HostRuntime::copy(void* device_to, const void* device_from, size_t bytes) {
  give([=] { std::memcpy(device_to, device_from, bytes); });
}
void HostRuntime::fill_zero(void* memory, size_t bytes) {
  give([=] { std::memset(memory, 0, bytes); });
}

void HostRuntime::multiply(const GpuProduct& product) {
  give([=] { multiply_now(product); });
}

void HostRuntime::begin_graph() { recorder_ = std::make_unique<simt::ScopedRecorder>(); }

std::unique_ptr<GpuGraph> HostRuntime::end_graph() {
  PG_CHECK(recorder_ != nullptr, "end_graph() without begin_graph()");
  auto graph = std::make_unique<HostGraph>(recorder_->take());
  recorder_.reset();
  return graph;
}

void HostRuntime::check_not_recording() const {
  if (recorder_ == nullptr) return;
  throw Error("recording a graph: the host's memory was used, or a wait, or an allocation");
}

}  // namespace pg
