// Trainings on threads as ranks, each with a GPU of the stand-ins.
#pragma once
#include <cstdlib>
#include <memory>
#include <string>

#include "tests/simt/fake_cuda/fake_cuda.h"
#include "tests/train/ranks_fixture.h"

extern "C" pg::Device* pg_make_cuda_device(const char* name, bool is_bf16, int place,
                                           const char** refusal);

namespace pg {

inline std::unique_ptr<Device> make_fake_gpu(DType compute, int place = 0) {
  const char* refusal = nullptr;
  std::unique_ptr<Device> device(
      pg_make_cuda_device("cuda", compute == DType::kBF16, place, &refusal));
  if (device == nullptr) throw Error(refusal);
  return device;
}

// The library is this program: what a user's variable names otherwise.
inline void use_fake_nccl() { ::setenv("PG_NCCL_LIBRARY", "", /*overwrite=*/1); }

class FakeRanks : public RanksTest {
 protected:
  FakeRanks() {
    use_fake_nccl();
    setup_.train.max_steps = 2;
  }
  ~FakeRanks() override {
    fake_cuda::fail_call(0);
    fake_cuda::order_streams(fake_cuda::Order::kAtOnce);
    fake_cuda::watch_order(false);
    fake_cuda::show_devices(fake_cuda::kDevices);
  }
  std::unique_ptr<Device> make_rank_device(int rank) override {
    return make_fake_gpu(DType::kBF16, rank);
  }
};

}  // namespace pg
