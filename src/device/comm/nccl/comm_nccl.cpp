#include "src/device/comm/nccl/comm_nccl.h"

#include <cuda_runtime_api.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <map>
#include <mutex>
#include <stop_token>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "src/base/error.h"
#include "src/device/comm/comm_lists.h"
#include "src/device/comm/comm_threads.h"
#include "src/device/comm/nccl/nccl_facts.h"
#include "src/device/comm/nccl/nccl_library.h"

namespace pg {
namespace {

// Operations in flight. A ticket further back is known by a later one's event, which is done no earlier:
// all are on one stream.
constexpr uint64_t kRing = 64;

void check_cuda(cudaError_t code, const char* what) {
  if (code == cudaSuccess) return;
  cudaGetLastError();  // it is told here, and not again by what comes after
  throw Error(std::string("CUDA: ") + what + ": \"" + cudaGetErrorString(code) + "\"");
}

// What the ranks of this process share. A failure of one ends the operations of all: a kernel that waits
// for a rank that is gone would wait for ever, and the host with it.
class NcclGroup {
 public:
  NcclGroup(std::shared_ptr<const NcclLibrary> library, int ranks)
      : library_(std::move(library)), seats_(static_cast<size_t>(ranks)) {
    try {
      watcher_ = std::jthread([this](const std::stop_token& stop) { watch(stop); });
    } catch (const std::system_error& error) {
      throw Error("NCCL: no thread to watch it (" + std::string(error.what()) + "); see ulimit -u");
    }
  }

  int ranks() const { return static_cast<int>(seats_.size()); }

  // call(library, handle) while nobody aborts that handle. Throws where a rank has failed.
  template <class Call>
  auto with(int rank, const Call& call) {
    Seat& seat = seats_[static_cast<size_t>(rank)];
    const std::lock_guard lock(seat.mutex);
    throw_if_failed();
    return call(*library_, seat.handle);
  }
  // Until what NCCL does for this rank in the background is done, on the host's side.
  void await(int rank) {
    const auto is_ready = [](const NcclLibrary& nccl, NcclHandle handle) {
      return nccl.is_ready(handle);
    };
    for (int turn = 0; !with(rank, is_ready); ++turn) {
      constexpr int kBusyTurns = 1000;  // operations are given within microseconds
      if (turn < kBusyTurns) {
        std::this_thread::yield();
      } else {
        std::this_thread::sleep_for(std::chrono::microseconds(200));
      }
    }
  }
  // The rank's handle goes: in order, or for a failure.
  void leave(int rank) noexcept {
    try {
      with(rank, [](const NcclLibrary& nccl, NcclHandle handle) {
        if (handle != nullptr) nccl.start_leaving(handle);
      });
      await(rank);
      Seat& seat = seats_[static_cast<size_t>(rank)];
      const std::lock_guard lock(seat.mutex);
      if (seat.handle != nullptr) library_->destroy(std::exchange(seat.handle, nullptr));
    } catch (const std::exception& error) {
      fail(rank, error.what());
    }
  }

  // The first failure stays.
  void fail(int rank, std::string_view reason) noexcept {
    {
      const std::lock_guard lock(mutex_);
      if (failure_.empty()) {
        failure_ = describe_rank(rank) + " of " + std::to_string(ranks()) +
                   " ended: " + std::string(reason);
      }
    }
    for (Seat& seat : seats_) {
      const std::lock_guard lock(seat.mutex);
      if (seat.handle != nullptr) library_->abort(std::exchange(seat.handle, nullptr));
    }
  }
  void throw_if_failed() {
    const std::lock_guard lock(mutex_);
    if (!failure_.empty()) throw PeerError(failure_);
  }

 private:
  struct Seat {
    std::mutex mutex;
    NcclHandle handle = nullptr;  // null: of another process, or gone
  };
  // What goes wrong between machines shows nowhere else while a host waits for its GPU, which waits for
  // another one.
  void watch(const std::stop_token& stop) {
    constexpr auto kPause = std::chrono::milliseconds(200);
    std::mutex mutex;
    std::condition_variable_any stopped;
    std::unique_lock lock(mutex);
    while (!stopped.wait_for(lock, stop, kPause, [&] { return stop.stop_requested(); })) {
      for (size_t rank = 0; rank < seats_.size(); ++rank) {
        try {
          const std::lock_guard seat_lock(seats_[rank].mutex);
          if (seats_[rank].handle != nullptr) library_->is_ready(seats_[rank].handle);
        } catch (const std::exception& error) {
          fail(static_cast<int>(rank), error.what());
        }
      }
    }
  }

  const std::shared_ptr<const NcclLibrary> library_;
  std::vector<Seat> seats_;  // [ranks]
  std::mutex mutex_;         // of failure_
  std::string failure_;
  std::jthread watcher_;  // the first to go
};

// The group of an id, the same for all ranks of this process: they have nothing in common but the process,
// so this is the one place that belongs to it.
std::shared_ptr<NcclGroup> share_group(const NcclId& id, std::shared_ptr<const NcclLibrary> library,
                                       int ranks) {
  static std::mutex mutex;
  static std::map<NcclId, std::weak_ptr<NcclGroup>> groups;
  const std::lock_guard lock(mutex);
  std::erase_if(groups, [](const auto& entry) { return entry.second.expired(); });
  std::shared_ptr<NcclGroup> group = groups[id].lock();
  if (group == nullptr) {
    group = std::make_shared<NcclGroup>(std::move(library), ranks);
    groups[id] = group;
  }
  return group;
}

class NcclComm final : public Comm {
 public:
  NcclComm(std::shared_ptr<NcclGroup> group, const NcclId& id, Comm& host, cudaStream_t compute)
      : group_(std::move(group)), host_(host), rank_(host.rank()), compute_(compute) {
    try {
      check_cuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "stream");
      check_cuda(cudaEventCreateWithFlags(&ready_, cudaEventDisableTiming), "event");
      for (cudaEvent_t& done : done_) {
        check_cuda(cudaEventCreateWithFlags(&done, cudaEventDisableTiming), "event");
      }
      group_->with(rank_, [&](const NcclLibrary& nccl, NcclHandle& handle) {
        nccl.start_joining(handle, ranks(), id, rank_);
      });
      group_->await(rank_);
    } catch (const std::exception& error) {
      group_->fail(rank_, error.what());
      give_back();
      throw;
    }
  }
  ~NcclComm() override {
    // Who unwinds leaves operations behind that the others would wait for.
    if (std::uncaught_exceptions() > exceptions_)
      group_->fail(rank_, "it stopped without a reason");
    group_->leave(rank_);
    give_back();
  }
  NcclComm(const NcclComm&) = delete;

  std::string_view name() const override { return "nccl"; }
  int rank() const override { return rank_; }
  int ranks() const override { return group_->ranks(); }
  Comm& host() override { return host_.host(); }

  CommTicket exchange(std::span<const CommPiece> sends,
                      std::span<const CommPiece> receives) override {
    return start(CommKind::kExchange, [&](CommOperation operation) {
      check_piece_ranks(operation, sends, rank_, ranks());
      check_piece_ranks(operation, receives, rank_, ranks());
      pair_pieces(operation, rank_, sends, rank_, receives,
                  [&](const CommPiece& to, const CommPiece& from) {
                    if (to.bytes == 0) return;
                    check_cuda(cudaMemcpyAsync(to.data, from.data, to.bytes,
                                               cudaMemcpyDeviceToDevice, stream_),
                               "copying");
                  });
      give_group([&](const NcclLibrary& nccl, NcclHandle handle) {
        for (const CommPiece& piece : sends) {
          if (piece.rank == rank_ || piece.bytes == 0) continue;
          nccl.send(handle, piece.data, piece.bytes, piece.rank, stream_);
        }
        for (const CommPiece& piece : receives) {
          if (piece.rank == rank_ || piece.bytes == 0) continue;
          nccl.receive(handle, piece.data, piece.bytes, piece.rank, stream_);
        }
      });
    });
  }

  CommTicket all_gather(std::span<const CommPiece> pieces) override {
    return start(CommKind::kAllGather, [&](CommOperation operation) {
      check_piece_ranks(operation, pieces, rank_, ranks());
      give_group([&](const NcclLibrary& nccl, NcclHandle handle) {
        for (const CommPiece& piece : pieces) {
          if (piece.bytes == 0) continue;
          nccl.broadcast(handle, piece.data, piece.bytes, piece.rank, stream_);
        }
      });
    });
  }

  CommTicket reduce_scatter(std::span<const CommPiece> pieces) override {
    return start(CommKind::kReduceScatter, [&](CommOperation operation) {
      check_piece_ranks(operation, pieces, rank_, ranks());
      check_float_pieces(operation, pieces);
      give_group([&](const NcclLibrary& nccl, NcclHandle handle) {
        for (const CommPiece& piece : pieces) {
          if (piece.bytes == 0) continue;
          nccl.sum_floats(handle, piece.data, piece.bytes / sizeof(float), piece.rank, stream_);
        }
      });
    });
  }

  void wait(CommTicket ticket) override {
    group_->throw_if_failed();
    check_cuda(cudaStreamWaitEvent(compute_, done_[ticket.id % kRing], 0), "waiting for ranks");
  }
  void barrier() override { host_.barrier(); }
  void fail(std::string_view reason) noexcept override {
    group_->fail(rank_, reason);
    host_.fail(reason);
  }

 private:
  template <class Body>
  CommTicket start(CommKind kind, const Body& body) {
    group_->throw_if_failed();
    const CommOperation operation{kind, next_++};
    check_cuda(cudaEventRecord(ready_, compute_), "recording an event");
    check_cuda(cudaStreamWaitEvent(stream_, ready_, 0), "waiting for an event");
    body(operation);
    check_cuda(cudaEventRecord(done_[operation.id % kRing], stream_), "recording an event");
    return {operation.id};
  }

  // Returns when the stream has been given all of it: an event that is recorded earlier would be done
  // before it.
  template <class Body>
  void give_group(const Body& body) {
    group_->with(rank_, [&](const NcclLibrary& nccl, NcclHandle handle) {
      nccl.begin_group();
      try {
        body(nccl, handle);
      } catch (...) {
        nccl.drop_group();
        throw;
      }
      nccl.end_group();
    });
    group_->await(rank_);
  }

  void give_back() noexcept {
    for (const cudaEvent_t done : done_) {
      if (done != nullptr) cudaEventDestroy(done);
    }
    if (ready_ != nullptr) cudaEventDestroy(ready_);
    if (stream_ != nullptr) cudaStreamDestroy(stream_);
  }

  const std::shared_ptr<NcclGroup> group_;
  Comm& host_;
  const int rank_;
  const cudaStream_t compute_;
  const int exceptions_ = std::uncaught_exceptions();
  cudaStream_t stream_ = nullptr;
  cudaEvent_t ready_ = nullptr;
  std::array<cudaEvent_t, kRing> done_ = {};
  uint64_t next_ = 1;
};

template <size_t size>
void put_text(std::array<char, size>& to, std::string_view text) {
  std::memcpy(to.data(), text.data(), std::min(text.size(), size - 1));
}

}  // namespace

void join_by_nccl(Comm& host, const NcclSeat& seat, DeviceLink& link) {
  std::string refusal;
  std::shared_ptr<const NcclLibrary> library = open_nccl(refusal);
  NcclFacts own;
  put_text(own.refusal, refusal);
  if (library != nullptr) put_text(own.version, library->version());
  put_text(own.gpu, seat.gpu);
  ::gethostname(own.machine.data(), own.machine.size() - 1);
  own.gpu_id = seat.gpu_id;
  link.way = find_nccl_obstacle(gather_nccl_facts(host, own));
  if (!link.way.empty()) return;

  NcclId id = {};
  if (host.rank() == 0) id = library->make_id();
  host.broadcast(id.data(), id.size(), /*root=*/0);
  link.way = "NCCL " + library->version();
  const auto group = share_group(id, std::move(library), host.ranks());
  // From here on each rank of this process hears of the others' failures: joining waits for all.
  host.barrier();
  link.comm = std::make_unique<NcclComm>(group, id, host, seat.stream);
}

}  // namespace pg
