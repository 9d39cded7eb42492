#include "src/device/comm/nccl/comm_nccl.h"

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <array>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "src/base/check.h"
#include "src/device/comm/comm_lists.h"

namespace pg {

// A failure ends the operations of all ranks, because a kernel that waits for a rank that is gone
// would wait for ever, and the host with it.
class NcclGroup {
 public:
  NcclGroup(int ranks, const ncclUniqueId& id) : id_(id), comms_(static_cast<size_t>(ranks)) {}

  const ncclUniqueId& id() const { return id_; }
  int ranks() const { return static_cast<int>(comms_.size()); }

  void add(int rank, ncclComm_t comm) {
    const std::lock_guard lock(mutex_);
    comms_[static_cast<size_t>(rank)] = comm;
  }
  // The rank's, to end it in order; null where a failure has ended it.
  ncclComm_t remove(int rank) {
    const std::lock_guard lock(mutex_);
    return std::exchange(comms_[static_cast<size_t>(rank)], nullptr);
  }

  void fail(int rank, std::string_view reason) {
    const std::lock_guard lock(mutex_);
    if (failure_.empty()) {
      failure_ =
          describe_rank(rank) + " of " + std::to_string(ranks()) + " ended: " + std::string(reason);
    }
    for (ncclComm_t& comm : comms_) {
      if (comm != nullptr) ncclCommAbort(std::exchange(comm, nullptr));
    }
  }
  void throw_if_failed() {
    const std::lock_guard lock(mutex_);
    if (!failure_.empty()) throw Error(failure_);
  }

 private:
  const ncclUniqueId id_;
  std::mutex mutex_;
  std::vector<ncclComm_t> comms_;
  std::string failure_;
};

namespace {

constexpr uint64_t kRing = 64;  // operations in flight

void check_nccl(ncclResult_t code, const char* call) {
  if (code != ncclSuccess) throw Error(std::string(call) + ": " + ncclGetErrorString(code));
}

void check_cuda(cudaError_t code, const char* call) {
  if (code != cudaSuccess) throw Error(std::string(call) + ": " + cudaGetErrorString(code));
}

class NcclComm final : public Comm {
 public:
  NcclComm(std::shared_ptr<NcclGroup> group, Comm& host, cudaStream_t compute)
      : group_(std::move(group)), host_(host), rank_(host.rank()), compute_(compute) {
    check_cuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
    check_cuda(cudaMalloc(&barrier_word_, sizeof(int)), "cudaMalloc");
    check_cuda(cudaEventCreateWithFlags(&ready_, cudaEventDisableTiming), "cudaEventCreate");
    for (cudaEvent_t& done : done_) {
      check_cuda(cudaEventCreateWithFlags(&done, cudaEventDisableTiming), "cudaEventCreate");
    }
    check_nccl(ncclCommInitRank(&comm_, group_->ranks(), group_->id(), rank_), "ncclCommInitRank");
    group_->add(rank_, comm_);
  }
  ~NcclComm() override {
    if (const ncclComm_t comm = group_->remove(rank_)) ncclCommDestroy(comm);
    for (const cudaEvent_t done : done_) cudaEventDestroy(done);
    cudaEventDestroy(ready_);
    cudaFree(barrier_word_);
    cudaStreamDestroy(stream_);
  }
  NcclComm(const NcclComm&) = delete;

  std::string_view name() const override { return "nccl"; }
  int rank() const override { return rank_; }
  int ranks() const override { return group_->ranks(); }
  Comm& host() override { return host_; }

  CommTicket exchange(std::span<const CommPiece> sends,
                      std::span<const CommPiece> receives) override {
    return start(CommKind::kExchange, [&](CommOperation operation) {
      check_piece_ranks(operation, sends, rank_, ranks());
      check_piece_ranks(operation, receives, rank_, ranks());
      pair_pieces(operation, rank_, sends, rank_, receives,
                  [&](const CommPiece& to, const CommPiece& from) {
                    check_cuda(cudaMemcpyAsync(to.data, from.data, to.bytes,
                                               cudaMemcpyDeviceToDevice, stream_),
                               "cudaMemcpyAsync");
                  });
      in_group([&] {
        for (const CommPiece& piece : sends) {
          if (piece.rank == rank_ || piece.bytes == 0) continue;
          check_nccl(ncclSend(piece.data, piece.bytes, ncclUint8, piece.rank, comm_, stream_),
                     "ncclSend");
        }
        for (const CommPiece& piece : receives) {
          if (piece.rank == rank_ || piece.bytes == 0) continue;
          check_nccl(ncclRecv(piece.data, piece.bytes, ncclUint8, piece.rank, comm_, stream_),
                     "ncclRecv");
        }
      });
    });
  }

  CommTicket all_gather(std::span<const CommPiece> pieces) override {
    return start(CommKind::kAllGather, [&](CommOperation operation) {
      check_piece_ranks(operation, pieces, rank_, ranks());
      in_group([&] {
        for (const CommPiece& piece : pieces) {
          check_nccl(ncclBroadcast(piece.data, piece.data, piece.bytes, ncclUint8, piece.rank,
                                   comm_, stream_),
                     "ncclBroadcast");
        }
      });
    });
  }

  CommTicket reduce_scatter(std::span<const CommPiece> pieces) override {
    return start(CommKind::kReduceScatter, [&](CommOperation operation) {
      check_piece_ranks(operation, pieces, rank_, ranks());
      check_float_pieces(operation, pieces);
      in_group([&] {
        for (const CommPiece& piece : pieces) {
          check_nccl(ncclReduce(piece.data, piece.data, piece.bytes / sizeof(float), ncclFloat32,
                                ncclSum, piece.rank, comm_, stream_),
                     "ncclReduce");
        }
      });
    });
  }

  void wait(CommTicket ticket) override {
    check_failure();
    check_cuda(cudaStreamWaitEvent(compute_, done_[ticket.id % kRing], 0), "cudaStreamWaitEvent");
  }

  // The host waits: that is what a barrier is for.
  void barrier() override {
    const CommTicket ticket = start(CommKind::kBarrier, [&](CommOperation) {
      check_nccl(ncclAllReduce(barrier_word_, barrier_word_, 1, ncclInt32, ncclSum, comm_, stream_),
                 "ncclAllReduce");
    });
    check_cuda(cudaEventSynchronize(done_[ticket.id % kRing]), "cudaEventSynchronize");
    check_failure();
  }

  void fail(std::string_view reason) noexcept override {
    group_->fail(rank_, reason);
    host_.fail(reason);
  }

 private:
  template <class Body>
  CommTicket start(CommKind kind, const Body& body) {
    check_failure();
    const CommOperation operation{kind, next_++};
    check_cuda(cudaEventRecord(ready_, compute_), "cudaEventRecord");
    check_cuda(cudaStreamWaitEvent(stream_, ready_, 0), "cudaStreamWaitEvent");
    body(operation);
    check_cuda(cudaEventRecord(done_[operation.id % kRing], stream_), "cudaEventRecord");
    return {operation.id};
  }

  template <class Body>
  static void in_group(const Body& body) {
    check_nccl(ncclGroupStart(), "ncclGroupStart");
    body();
    check_nccl(ncclGroupEnd(), "ncclGroupEnd");
  }

  void check_failure() {
    group_->throw_if_failed();
    ncclResult_t state = ncclSuccess;
    check_nccl(ncclCommGetAsyncError(comm_, &state), "ncclCommGetAsyncError");
    if (state == ncclSuccess || state == ncclInProgress) return;
    group_->fail(rank_, ncclGetErrorString(state));
    group_->throw_if_failed();
  }

  const std::shared_ptr<NcclGroup> group_;
  Comm& host_;
  const int rank_;
  const cudaStream_t compute_;
  cudaStream_t stream_ = nullptr;
  cudaEvent_t ready_ = nullptr;
  std::array<cudaEvent_t, kRing> done_ = {};
  void* barrier_word_ = nullptr;
  ncclComm_t comm_ = nullptr;
  uint64_t next_ = 1;
};

}  // namespace

std::shared_ptr<NcclGroup> make_nccl_group(int ranks) {
  int gpus = 0;
  check_cuda(cudaGetDeviceCount(&gpus), "cudaGetDeviceCount");
  if (ranks < 1 || ranks > gpus) {
    throw Error("\"" + std::to_string(ranks) + "\" ranks on " + std::to_string(gpus) +
                " GPUs; start one for each GPU at most");
  }
  ncclUniqueId id = {};
  check_nccl(ncclGetUniqueId(&id), "ncclGetUniqueId");
  return std::make_shared<NcclGroup>(ranks, id);
}

std::unique_ptr<Comm> make_nccl_comm(std::shared_ptr<NcclGroup> group, Comm& host, void* stream) {
  return std::make_unique<NcclComm>(std::move(group), host, static_cast<cudaStream_t>(stream));
}

}  // namespace pg
