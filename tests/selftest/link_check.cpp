#include "tests/selftest/link_check.h"

#include <algorithm>
#include <exception>
#include <mutex>

#include "src/base/clock.h"
#include "src/device/comm/join_devices.h"
#include "src/device/comm/run_ranks.h"

namespace pg {
namespace {

constexpr int kTimed = 10;  // of each operation, behind one that is checked

// What a rank has for a place: whole numbers, whose sums over ranks are exact.
float number_of(int rank, int64_t piece, int64_t i) {
  return static_cast<float>((i * 7 + rank * 13 + piece * 101) % 1000);
}

class LinkRank {
 public:
  LinkRank(Comm& comm, Device& device, int64_t piece_floats)
      : comm_(comm),
        device_(device),
        floats_(piece_floats),
        own_(device, bytes() * ranks()),
        received_(device, bytes() * ranks()),
        host_(static_cast<size_t>(piece_floats)) {
    for (int r = 0; r < comm.ranks(); ++r) {
      all_.push_back({r, piece(own_, r), bytes()});
      if (r == comm.rank()) continue;
      sends_.push_back(all_.back());
      receives_.push_back({r, piece(received_, r), bytes()});
    }
  }

  // Each checks its numbers, then gives the bytes a second that this rank had.
  double exchange() {
    put_numbers();
    const double bytes_per_s = time([&] { comm_.wait(comm_.exchange(sends_, receives_)); });
    for (const CommPiece& got : receives_) {
      expect("exchange", got.data, [&](int64_t i) { return number_of(got.rank, comm_.rank(), i); });
    }
    return bytes_per_s;
  }
  double gather() {
    put_numbers();
    const double bytes_per_s = time([&] { comm_.wait(comm_.all_gather(all_)); });
    for (const CommPiece& got : all_) {
      expect("all_gather", got.data, [&](int64_t i) { return number_of(got.rank, got.rank, i); });
    }
    return bytes_per_s;
  }
  double scatter() {
    put_numbers();
    comm_.wait(comm_.reduce_scatter(all_));
    expect("reduce_scatter", all_[static_cast<size_t>(comm_.rank())].data, [&](int64_t i) {
      float sum = 0;
      for (int r = 0; r < comm_.ranks(); ++r) sum += number_of(r, comm_.rank(), i);
      return sum;
    });
    return time([&] { comm_.wait(comm_.reduce_scatter(all_)); });
  }
  const std::vector<std::string>& faults() const { return faults_; }

 private:
  size_t bytes() const { return static_cast<size_t>(floats_) * sizeof(float); }
  size_t ranks() const { return static_cast<size_t>(comm_.ranks()); }
  void* piece(const DeviceBuffer& buffer, int rank) const {
    return buffer.as<float>() + rank * floats_;
  }

  void put_numbers() {
    for (const CommPiece& to : all_) {
      for (int64_t i = 0; i < floats_; ++i) {
        host_[static_cast<size_t>(i)] = number_of(comm_.rank(), to.rank, i);
      }
      device_.upload(to.data, host_.data(), bytes());
    }
    device_.synchronize();
  }

  template <class Operation>
  double time(const Operation& operation) {
    SteadyClock clock;
    operation();
    device_.synchronize();
    comm_.barrier();
    const double start_s = clock.now_s();
    for (int i = 0; i < kTimed; ++i) operation();
    device_.synchronize();
    const double moved = static_cast<double>(bytes()) * (comm_.ranks() - 1) * kTimed;
    return moved / (clock.now_s() - start_s);
  }

  template <class Want>
  void expect(const char* what, const void* data, const Want& want) {
    device_.download(host_.data(), data, bytes());
    for (int64_t i = 0; i < floats_; ++i) {
      const float got = host_[static_cast<size_t>(i)];
      if (got == want(i)) continue;
      faults_.push_back(std::string(what) + ": rank " + std::to_string(comm_.rank()) + " has " +
                        std::to_string(got) + " at " + std::to_string(i) + ", not " +
                        std::to_string(want(i)));
      return;
    }
  }

  Comm& comm_;
  Device& device_;
  const int64_t floats_;
  DeviceBuffer own_, received_;  // [ranks, floats]
  std::vector<float> host_;
  std::vector<CommPiece> all_, sends_, receives_;
  std::vector<std::string> faults_;
};

void take_slowest(double& all, double one) { all = all == 0 ? one : std::min(all, one); }

}  // namespace

LinkVerdict check_link(int ranks, const MakeDeviceAt& make, int64_t piece_floats) {
  LinkVerdict verdict;
  std::mutex mutex;
  try {
    run_ranks(ranks, [&](Comm& host) {
      const std::unique_ptr<Device> device = make(host.rank());
      const DeviceLink link = join_devices(host, *device);
      Comm& comm = link.comm != nullptr ? *link.comm : host;
      LinkRank rank(comm, *device, piece_floats);
      fail_on_throw(comm, [&] {
        const double exchange = rank.exchange(), gather = rank.gather(), scatter = rank.scatter();
        const std::lock_guard lock(mutex);
        verdict.way = link.way;
        take_slowest(verdict.exchange_bytes_per_s, exchange);
        take_slowest(verdict.gather_bytes_per_s, gather);
        take_slowest(verdict.scatter_bytes_per_s, scatter);
        for (const std::string& fault : rank.faults()) verdict.faults.push_back(fault);
      });
    });
  } catch (const std::exception& error) {
    verdict.faults.push_back(error.what());
  }
  std::sort(verdict.faults.begin(), verdict.faults.end());
  return verdict;
}

}  // namespace pg
