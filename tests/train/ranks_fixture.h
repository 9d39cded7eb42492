// Trainings on threads as ranks: six steps of eight micro-batches, in eight leaves.
#pragma once
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/device/comm/join_devices.h"
#include "src/device/comm/run_ranks.h"
#include "src/files/write_file.h"
#include "src/train/checkpoint.h"
#include "src/train/training_params.h"
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

  virtual std::unique_ptr<Device> make_rank_device(int rank) {
    return make_device(device_name_, rank);
  }

  // Rank 0's result.
  TrainResult train_on(int ranks) {
    TrainResult result;
    run_ranks(ranks, [&](Comm& comm) {
      const std::unique_ptr<Device> device = make_rank_device(comm.rank());
      TrainSetup setup = setup_;
      setup.device = device.get();
      const DeviceLink link = join_devices(comm, *device, exchange_);
      setup.comm = link.comm != nullptr ? link.comm.get() : &comm;
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

  // Until `steps` are done on `before` ranks, then to the end on `after` from the checkpoint.
  void expect_goes_on(const TrainResult& whole, int before, int after, int64_t steps) {
    setup_.checkpoint_file = folder_ / "checkpoint.bin";
    std::filesystem::remove(setup_.checkpoint_file);
    int64_t polls = 0;
    setup_.stop_requested = [&polls, steps] { return ++polls > steps; };
    EXPECT_EQ(train_on(before).steps, steps);
    EXPECT_EQ(static_cast<int64_t>(std::filesystem::file_size(setup_.checkpoint_file)),
              checkpoint_bytes(checkpoint_sizes(list_training_params(setup_.model, setup_.train),
                                                setup_.train, setup_.optimizer)));
    setup_.stop_requested = nullptr;
    expect_same(whole.exported, train_on(after).exported);
  }

  // The text goes in the middle of a step and comes back: the last whole step was kept.
  void expect_survives_lost_text(const TrainResult& whole) {
    setup_.checkpoint_file = folder_ / "checkpoint.bin";
    const auto shard = folder_ / "mixed_000000.bin";
    const Bytes text = read_file(shard);
    int polls = 0;
    setup_.stop_requested = [&] {
      if (++polls == 4) std::filesystem::resize_file(shard, 0);
      return false;
    };
    EXPECT_THROW(train_on(1), Error);
    setup_.stop_requested = nullptr;
    write_file_atomic(shard, text);
    stream_.emplace(TokenStream::open((folder_ / "mixed_*.bin").string(), 61));
    batches_.emplace(*stream_, Loader::kShuffled, 1, 32);
    recorder_.notes.clear();
    expect_same(whole.exported, train_on(1).exported);
    EXPECT_TRUE(recorder_.has_note("resume:checkpoint"));
  }

  const char* device_name_ = "cpu";
  ExchangeBy exchange_ = ExchangeBy::kAny;
  std::vector<TrainResult> others_;
  std::mutex mutex_;
};

}  // namespace pg
