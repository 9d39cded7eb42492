#include "tests/simt/streams/stream_check.h"

#include <atomic>
#include <functional>
#include <mutex>
#include <set>
#include <span>
#include <vector>

#include "src/base/error.h"
#include "src/device/comm/join_devices.h"
#include "src/device/comm/run_ranks.h"
#include "tests/simt/orthogonal_matrix.h"

namespace pg {
namespace {

std::unique_ptr<Device> make_device_by(MakeCudaDevice make, int place) {
  const char* refusal = nullptr;
  std::unique_ptr<Device> device(make("cuda:f32", /*is_bf16=*/false, place, &refusal));
  if (device == nullptr) throw Error(refusal);
  return device;
}

constexpr int64_t kCount = 96;  // of floats: three warps

// mean = (mean + x) / 2, every element alike.
class Mean {
 public:
  explicit Mean(Device& device)
      : device_(device),
        mean_(device, kCount * sizeof(float)),
        x_(device, kCount * sizeof(float)),
        half_(device, sizeof(float)) {
    const float half = 0.5f;
    device.upload(half_.data(), &half, sizeof half);
  }
  void upload(float value) {
    const std::vector<float> values(kCount, value);
    device_.upload(x_.data(), values.data(), x_.bytes());
  }
  void take(const DeviceBuffer& from) {
    device_.ops().lerp({mean_.data(), DType::kF32}, {from.data(), DType::kF32},
                       {half_.data(), DType::kF32}, kCount);
  }
  void take() { take(x_); }
  const DeviceBuffer& buffer() const { return mean_; }

 private:
  Device& device_;
  DeviceBuffer mean_, x_, half_;
};

std::string compare(const char* what, std::span<const float> got, float want) {
  for (const float value : got) {
    if (value != want) {
      return std::string(what) + " is " + std::to_string(value) + ", not " + std::to_string(want);
    }
  }
  return "";
}

std::string first_of(std::vector<std::string> faults) {
  for (std::string& fault : faults) {
    if (!fault.empty()) return std::move(fault);
  }
  return "";
}

// Checks that ended with nothing wrong, and what the checker found besides.
std::string finish(std::string fault) {
  const std::vector<std::string> faults = fake_cuda::take_faults();
  return faults.empty() ? fault : faults.front();
}

std::string finish(const std::function<std::string()>& check) {
  std::string fault;
  try {
    fault = check();
  } catch (const std::exception& error) {
    fault = std::string("thrown: ") + error.what();
  }
  return finish(std::move(fault));
}

}  // namespace

// Two under way at a time, as a trainer has the loss of the step before.
std::string check_downloads(MakeCudaDevice make) {
  return finish([&]() -> std::string {
    const auto device = make_device_by(make, 0);
    Mean mean(*device);
    constexpr int kSteps = 5;
    std::vector<std::vector<float>> values(kSteps, std::vector<float>(kCount));
    std::vector<uint64_t> events;
    float want[kSteps], current = 0;
    for (int i = 0; i < kSteps; ++i) {
      mean.upload(static_cast<float>(i));
      mean.take();
      want[i] = current = (current + static_cast<float>(i)) / 2;
      device->start_download(values[static_cast<size_t>(i)].data(), mean.buffer().data(),
                             mean.buffer().bytes());
      events.push_back(device->record());
      if (i == 0) continue;
      const auto before = static_cast<size_t>(i - 1);
      if (i % 2 == 0) {
        device->wait(events[before]);
      } else {
        while (!device->is_done(events[before])) {
        }
      }
      const std::string fault = compare("a download", values[before], want[before]);
      if (!fault.empty()) return fault;
    }
    device->synchronize();
    return compare("the last download", values.back(), want[kSteps - 1]);
  });
}

std::string check_graphs(MakeCudaDevice make) {
  return finish([&]() -> std::string {
    const auto device = make_device_by(make, 0);
    {
      Mean mean(*device);
      std::unique_ptr<KeptWork> kept;
      float want = 0;
      bool fails = true;
      for (int i = 1; i <= 6; ++i) {
        mean.upload(static_cast<float>(i));
        try {
          for (Repetition run(*device, kept); run.is_due();) {
            if (i == 2 && std::exchange(fails, false)) throw Error("it failed");
            mean.take();
          }
        } catch (const Error&) {
          --i;  // once more
          continue;
        }
        want = (want + static_cast<float>(i)) / 2;
        std::vector<float> values(kCount);
        device->download(values.data(), mean.buffer().data(), mean.buffer().bytes());
        const std::string fault = compare("repeated work", values, want);
        if (!fault.empty()) return fault;
      }
    }
    // A copy that cannot be recorded.
    const DeviceBuffer to(*device, sizeof(float));
    std::unique_ptr<KeptWork> refused;
    for (int i = 1; i <= 3; ++i) {
      const auto value = static_cast<float>(i);
      float got = 0;
      try {
        for (Repetition run(*device, refused); run.is_due();) {
          device->upload(to.data(), &value, sizeof value);
        }
      } catch (const Error&) {
        continue;
      }
      device->download(&got, to.data(), sizeof got);
      const std::string fault = compare("work that is not recorded", {&got, 1}, value);
      if (!fault.empty()) return fault;
    }
    // Working memory of the smaller is given up for the larger's.
    OrthogonalMatrix small(*device, 8), large(*device, 24);
    const std::vector<float> of_small = small.run();
    small.run();
    small.run();
    const std::vector<float> of_large = large.run();
    for (int i = 0; i < 3; ++i) {
      if (small.run() != of_small || large.run() != of_large) {
        return "work in memory that has grown has other values";
      }
    }
    return "";
  });
}

// What ranks do in a step: each sends its gradient, adds up what comes, and gathers what the other has.
std::string check_exchanges(MakeCudaDevice make) {
  std::vector<std::string> faults(2);
  return finish([&]() -> std::string {
    run_ranks(2, [&](Comm& host) {
      const auto device = make_device_by(make, host.rank());
      const DeviceLink link = join_devices(host, *device, ExchangeBy::kDevices);
      Comm& comm = *link.comm;
      const int rank = comm.rank(), other = 1 - rank;
      Mean gradient(*device), weights(*device);
      const DeviceBuffer received(*device, kCount * sizeof(float));
      float sums[2] = {0, 0}, want = 0;
      const auto body = [&] {
        for (int step = 0; step < 4; ++step) {
          for (int r = 0; r < 2; ++r) {
            sums[r] = (sums[r] + static_cast<float>(4 * step + r)) / 2;
          }
          gradient.upload(static_cast<float>(4 * step + rank));
          gradient.take();
          const CommPiece sent{other, gradient.buffer().data(), received.bytes()};
          const CommPiece got{other, received.data(), received.bytes()};
          comm.wait(comm.exchange({&sent, 1}, {&got, 1}));
          gradient.take(received);
          sums[rank] = (sums[rank] + sums[other]) / 2;
          sums[other] = (sums[other] + (2 * sums[rank] - sums[other])) / 2;
          weights.take(gradient.buffer());
          const CommPiece shared{step % 2, weights.buffer().data(), received.bytes()};
          const CommTicket gather = comm.all_gather({&shared, 1});
          gradient.upload(0);  // has nothing to do with it
          comm.wait(gather);
          weights.take();  // with nothing
          want = (want + sums[rank]) / 4;
        }
        std::vector<float> values(kCount);
        device->download(values.data(), weights.buffer().data(), received.bytes());
        faults[static_cast<size_t>(rank)] = compare("what ranks have together", values, want);
      };
      fail_on_throw(comm, body);
    });
    return first_of(faults);
  });
}

std::string check_streams(MakeCudaDevice make, fake_cuda::Order order, uint64_t seed) {
  fake_cuda::order_streams(order, seed);
  fake_cuda::watch_order(true);
  std::string fault;
  for (const auto check : {&check_downloads, &check_graphs, &check_exchanges}) {
    if (fault.empty()) fault = check(make);
  }
  fake_cuda::watch_order(false);
  fake_cuda::order_streams(fake_cuda::Order::kAtOnce);
  return fault;
}

const char* name_of(fake_cuda::Order order) {
  constexpr const char* kNames[] = {"at once",       "first given first", "last given first",
                                    "compute first", "side first",        "random"};
  return kNames[static_cast<size_t>(order)];
}

std::string check_all_orders(MakeCudaDevice make) {
  using enum fake_cuda::Order;
  const auto check = [&](fake_cuda::Order order, uint64_t seed) {
    const std::string fault = check_streams(make, order, seed);
    return fault.empty()
               ? fault
               : std::string(name_of(order)) + ", seed " + std::to_string(seed) + ": " + fault;
  };
  for (const auto order : {kFirstGiven, kLastGiven, kComputeFirst, kSideFirst}) {
    const std::string fault = check(order, 1);
    if (!fault.empty()) return fault;
  }
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    const std::string fault = check(kRandom, seed);
    if (!fault.empty()) return fault;
  }
  return "";
}

}  // namespace pg
