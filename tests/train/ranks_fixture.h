// Trainings on threads as ranks: six steps of eight micro-batches, in eight leaves.
#pragma once
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "src/device/comm/run_ranks.h"
#include "tests/train/trainer_fixture.h"

namespace pg {

class RanksTest : public TrainerTest {
 protected:
  RanksTest() {
    // No period: the fixture's text gives every micro-batch the same gradient.
    std::vector<uint16_t> ids;
    for (const int32_t id : make_ids(20000, 61, 78)) ids.push_back(static_cast<uint16_t>(id));
    write_shard(folder_ / "mixed_000000.bin", ids);
    stream_.emplace(TokenStream::open((folder_ / "mixed_*.bin").string(), 61));
    batches_.emplace(*stream_, Loader::kShuffled, 1, 32);
    setup_.batches = &*batches_;
    setup_.train.batch_tokens = 1024;  // eight micro-batches
    setup_.train.micro_batch_tokens = 128;
    setup_.train.gradient_leaves = 8;
    setup_.train.max_steps = 6;
  }

  // Rank 0's result.
  TrainResult train_on(int ranks) {
    TrainResult result;
    run_ranks(ranks, [&](Comm& comm) {
      const std::unique_ptr<Device> device = make_device(device_name_);
      TrainSetup setup = setup_;
      setup.device = device.get();
      setup.comm = &comm;
      if (comm.rank() > 0) {  // they must not need what is rank 0's
        setup.clock = nullptr;
        setup.observer = nullptr;
        setup.checkpoint_file.clear();
        setup.stop_requested = nullptr;
      }
      TrainResult own = train(setup);
      const std::lock_guard lock(mutex_);
      if (comm.rank() == 0) {
        result = std::move(own);
      } else {
        others_.push_back(std::move(own));
      }
    });
    return result;
  }

  const char* device_name_ = "cpu";
  std::vector<TrainResult> others_;
  std::mutex mutex_;
};

}  // namespace pg
