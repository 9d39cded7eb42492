// The CUDA back end as a GPU has it - its runtime, its graphs, its cuBLASLt - over libraries that the
// host stands in for: what it computes, and that each call of theirs may fail.
#include "tests/simt/fake_cuda/fake_cuda.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "src/base/error.h"
#include "tests/ops/op_runner.h"
#include "tests/simt/fake_cuda/fake_ranks.h"
#include "tests/train/trajectory.h"

namespace pg {
namespace {

class FakeCuda : public testing::Test {
 protected:
  ~FakeCuda() override {
    fake_cuda::fail_call(0);
    fake_cuda::refuse_graphs(false);
  }
};

TEST_F(FakeCuda, ProductsAreThoseOfTheReference) {
  const std::set<OpId> of_products = {OpId::kLinear, OpId::kLinearDx, OpId::kLinearDw,
                                      OpId::kNewtonSchulz};
  for (const DType compute : {DType::kF32, DType::kBF16}) {
    const auto device = make_fake_gpu(compute);
    for (const optest::OpCase& op_case : optest::all_cases()) {
      if (!of_products.contains(op_case.op)) continue;
      for (const std::string& fault : optest::check_values(*device, op_case)) {
        ADD_FAILURE() << fault;
      }
    }
  }
}

TEST_F(FakeCuda, TwentyStepsAreTheReferencesAndRepeatedOnesHaveTheirBits) {
  const RichTrajectory rich(DType::kBF16);
  const auto device = make_fake_gpu(DType::kBF16);
  EXPECT_LE(rich.stray_nats(*device), rich.bound_nats());
  const int64_t before = fake_cuda::count_graph_launches();
  const RichTrajectory::Repeats repeats = rich.compare_repeats(*device);
  EXPECT_TRUE(repeats.have_same_bits);
  EXPECT_GT(repeats.count, 18 * 2);
  // Each is launched when it has been recorded, and then 18 times.
  EXPECT_EQ((fake_cuda::count_graph_launches() - before) * 18, repeats.count * 19);
}

TEST_F(FakeCuda, ADriverThatRecordsNothingTrainsAlike) {
  const RichTrajectory rich(DType::kBF16);
  fake_cuda::refuse_graphs(true);
  const auto device = make_fake_gpu(DType::kBF16);
  const int64_t before = fake_cuda::count_graph_launches();
  const RichTrajectory::Repeats repeats = rich.compare_repeats(*device);
  EXPECT_TRUE(repeats.have_same_bits);
  EXPECT_EQ(repeats.count, 0);
  EXPECT_EQ(fake_cuda::count_graph_launches(), before);
}

TEST_F(FakeCuda, ARanksPlaceIsItsGpuCountedAround) {
  for (const int place : {0, 1, 3, 4, 7}) {
    make_fake_gpu(DType::kBF16, place);
    EXPECT_EQ(fake_cuda::current_device(), place % fake_cuda::kDevices);
  }
}

// Memory, copies, a product and a kernel, given, recorded and repeated, an event that is asked about and
// waited for, a download under way. Whether the numbers are right.
bool work_is_right() {
  constexpr int64_t kSide = 4, kCount = kSide * kSide;
  constexpr size_t kBytes = kCount * sizeof(float);
  const auto device = make_fake_gpu(DType::kF32);
  const DeviceBuffer x(*device, kBytes), y(*device, kBytes), average(*device, kBytes),
      decay(*device, sizeof(float));
  std::vector<float> identity(kCount, 0.0f), values(kCount), later(kCount);
  for (int64_t i = 0; i < kSide; ++i) identity[static_cast<size_t>(i * kSide + i)] = 1;
  device->upload(x.data(), identity.data(), kBytes);
  const float half = 0.5f;
  device->upload(decay.data(), &half, sizeof half);
  std::unique_ptr<KeptWork> kept;
  for (int i = 0; i < 4; ++i) {
    for (Repetition run(*device, kept); run.is_due();) {
      device->ops().linear({y.data(), DType::kF32}, {x.data(), DType::kF32},
                           {x.data(), DType::kF32}, {}, kSide, kSide, kSide);
      device->copy(x.data(), y.data(), kBytes);
      device->ops().lerp({average.data(), DType::kF32}, {x.data(), DType::kF32},
                         {decay.data(), DType::kF32}, kCount);
    }
  }
  device->start_download(later.data(), average.data(), kBytes);
  const uint64_t event = device->record();
  while (!device->is_done(event)) {
  }
  device->wait(device->record());
  device->synchronize();
  device->download(values.data(), average.data(), kBytes);
  for (float& value : identity) value *= 1 - 0.5f * 0.5f * 0.5f * 0.5f;
  return values == identity && later == identity;
}

TEST_F(FakeCuda, ABuildWithoutCodeForTheGpuSaysHowToBuild) {
  fake_cuda::lack_code(true);
  std::string said;
  try {
    work_is_right();
  } catch (const Error& error) {
    said = error.what();
  }
  fake_cuda::lack_code(false);
  EXPECT_NE(said.find("without CMAKE_CUDA_ARCHITECTURES"), std::string::npos) << said;
  EXPECT_EQ(said.find('\n'), std::string::npos);
  EXPECT_TRUE(work_is_right());
}

// It ends with a line that says what failed, or, where nothing is lost by it, with the right numbers; and
// leaves nothing behind.
TEST_F(FakeCuda, EachCallMayFail) {
  const int64_t live = fake_cuda::count_live();
  fake_cuda::fail_call(0);
  ASSERT_TRUE(work_is_right());
  ASSERT_EQ(fake_cuda::count_live(), live);
  const int64_t calls = fake_cuda::count_calls();
  std::set<std::string> failed;
  for (int64_t n = 1; n <= calls; ++n) {
    fake_cuda::fail_call(n);
    std::string said;
    try {
      EXPECT_TRUE(work_is_right()) << n;
    } catch (const Error& error) {
      said = error.what();
      EXPECT_TRUE(said.starts_with("CUDA: ") || said.starts_with("cuBLASLt: ")) << said;
      EXPECT_EQ(said.find('\n'), std::string::npos) << said;
    }
    const std::string name = fake_cuda::name_of_failed_call();
    EXPECT_EQ(fake_cuda::count_live(), live) << name << ", call " << n << ": " << said;
    failed.insert(name);
  }
  for (const char* name : {"cudaGetDeviceCount",
                           "cudaSetDevice",
                           "cudaGetDeviceProperties",
                           "cudaStreamCreateWithFlags",
                           "cudaStreamSynchronize",
                           "cudaStreamDestroy",
                           "cudaMalloc",
                           "cudaFree",
                           "cudaHostAlloc",
                           "cudaFreeHost",
                           "cudaMemcpyAsync",
                           "cudaMemsetAsync",
                           "cudaEventCreateWithFlags",
                           "cudaEventRecord",
                           "cudaEventQuery",
                           "cudaEventSynchronize",
                           "cudaEventDestroy",
                           "cudaStreamBeginCapture",
                           "cudaStreamEndCapture",
                           "cudaGraphInstantiate",
                           "cudaGraphDestroy",
                           "cudaGraphLaunch",
                           "cudaGraphExecDestroy",
                           "cublasLtCreate",
                           "cublasLtDestroy",
                           "cublasLtMatmulDescCreate",
                           "cublasLtMatmulDescDestroy",
                           "cublasLtMatmulDescSetAttribute",
                           "cublasLtMatrixLayoutCreate",
                           "cublasLtMatrixLayoutDestroy",
                           "cublasLtMatrixLayoutSetAttribute",
                           "cublasLtMatmulPreferenceCreate",
                           "cublasLtMatmulPreferenceDestroy",
                           "cublasLtMatmulPreferenceSetAttribute",
                           "cublasLtMatmulAlgoGetHeuristic",
                           "cublasLtMatmul"}) {
    EXPECT_TRUE(failed.contains(name)) << name << " was never reached";
  }
}

}  // namespace
}  // namespace pg
