#include "src/device/comm/comm_threads.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <exception>
#include <thread>

#include "src/base/check.h"
#include "src/base/threads.h"
#include "src/device/comm/comm_lists.h"
#include "src/device/comm/operation_comm.h"

namespace pg {
namespace {

constexpr uint64_t kRing = 64;  // operations of a rank in flight

// What a rank shows the others of one operation. The one in a slot before it is over for everybody:
// its rank's wait() saw all of them take their parts.
struct alignas(64) Slot {
  std::atomic<uint64_t> posted = 0;  // id of the operation whose lists lie here
  std::atomic<int> taken = 0;        // by how many of the others
  CommKind kind = CommKind::kBarrier;
  std::vector<CommPiece> pieces;  // sends, or the list that is the same on every rank
};

struct alignas(64) RankState {
  std::array<Slot, kRing> slots;
  // While it copies from others. Who failed lets nobody be in a copy when it goes on, because its
  // buffers go with it.
  std::atomic<bool> is_reading = false;
  std::atomic<bool> is_gone = false;
};

// What the ranks share. Every change that somebody may wait for is announced by one counter.
class ThreadGroup {
 public:
  explicit ThreadGroup(int ranks) : states_(static_cast<size_t>(ranks)) {}

  int ranks() const { return static_cast<int>(states_.size()); }
  RankState& state(int rank) { return states_[static_cast<size_t>(rank)]; }
  Slot& slot(int rank, uint64_t id) { return state(rank).slots[id % kRing]; }

  uint32_t changes() const { return changes_.load(); }
  void announce() {
    changes_.fetch_add(1);
    changes_.notify_all();
  }
  void await_change(uint32_t seen) const { changes_.wait(seen); }

  bool has_failed() const { return failure_.load() != kNone; }

  // The first failure stays. Returns when nobody copies any more.
  void fail(int rank, std::string_view reason) noexcept {
    int none = kNone;
    if (failure_.compare_exchange_strong(none, kBeingTold)) {
      failed_rank_ = rank;
      reason_bytes_ = std::min(reason.size(), reason_.size());
      std::memcpy(reason_.data(), reason.data(), reason_bytes_);
      failure_.store(kTold);
    }
    announce();
    await_readers();
  }

  void throw_if_failed() {
    if (!has_failed()) return;
    await_readers();
    while (failure_.load() != kTold) std::this_thread::yield();
    throw PeerError(describe_rank(failed_rank_) + " of " + std::to_string(ranks()) +
                    " ended: " + std::string(reason_.data(), reason_bytes_));
  }

 private:
  enum Failure { kNone, kBeingTold, kTold };

  void await_readers() const noexcept {
    for (const RankState& state : states_) {
      while (state.is_reading.load()) std::this_thread::yield();
    }
  }

  std::vector<RankState> states_;
  alignas(64) std::atomic<uint32_t> changes_ = 0;
  alignas(64) std::atomic<int> failure_ = kNone;
  int failed_rank_ = 0;
  // Fixed, because telling a failure must not fail.
  std::array<char, 2000> reason_;
  size_t reason_bytes_ = 0;
};

void copy_bytes(void* to, const void* from, size_t bytes) {
  constexpr int64_t kGrain = int64_t{1} << 20;
  parallel_ranges(static_cast<int64_t>(bytes), kGrain, [&](int64_t begin, int64_t end) {
    std::memcpy(static_cast<char*>(to) + begin, static_cast<const char*>(from) + begin,
                static_cast<size_t>(end - begin));
  });
}

class ThreadComm final : public OperationComm {
 public:
  // Shared, because the last rank to go, whichever that is, takes the group along.
  ThreadComm(std::shared_ptr<ThreadGroup> group, int rank)
      : group_(std::move(group)), rank_(rank), operations_(kRing) {
    for (Operation& own : operations_) own.has_taken.resize(static_cast<size_t>(group_->ranks()));
  }
  ~ThreadComm() override {
    if (oldest_ < next_) group_->fail(rank_, "it left operations without waiting for them");
    group_->state(rank_).is_gone.store(true);
    group_->announce();
  }

  std::string_view name() const override { return "threads"; }
  int rank() const override { return rank_; }
  int ranks() const override { return group_->ranks(); }

  void wait(CommTicket ticket) override {
    Operation& own = operations_[ticket.id % kRing];
    PG_CHECK(own.is_in_flight && own.what.id == ticket.id, "a ticket is waited for once");
    or_fail([&] { finish(own); });
    own.is_in_flight = false;
    while (oldest_ < next_ && !operations_[oldest_ % kRing].is_in_flight) ++oldest_;
  }

  void fail(std::string_view reason) noexcept override { group_->fail(rank_, reason); }

 private:
  // This rank's side of an operation in flight.
  struct Operation {
    CommOperation what;
    bool is_in_flight = false;
    std::vector<CommPiece> receives;
    std::vector<char> has_taken;  // [R]: from whom
    int left_to_take = 0;
  };

  // The others learn of this rank's mistake, so that none of them waits for it.
  template <class Body>
  void or_fail(const Body& body) {
    try {
      body();
    } catch (const std::exception& error) {
      group_->fail(rank_, error.what());
      throw;
    }
  }

  CommTicket start(CommKind kind, std::span<const CommPiece> pieces,
                   std::span<const CommPiece> receives) override {
    group_->throw_if_failed();
    Operation& own = operations_[next_ % kRing];
    PG_CHECK(!own.is_in_flight, "too many operations in flight; wait for the oldest");
    own.what = {kind, next_};
    or_fail([&] {
      check_piece_ranks(own.what, pieces, rank_, ranks());
      check_piece_ranks(own.what, receives, rank_, ranks());
      if (kind == CommKind::kReduceScatter) check_float_pieces(own.what, pieces);
      if (kind == CommKind::kExchange) move_pieces(own.what, rank_, pieces, receives);
      own.receives.assign(receives.begin(), receives.end());
      group_->slot(rank_, next_).pieces.assign(pieces.begin(), pieces.end());
    });
    std::fill(own.has_taken.begin(), own.has_taken.end(), false);
    own.left_to_take = ranks() - 1;
    own.is_in_flight = true;
    Slot& slot = group_->slot(rank_, next_);
    slot.kind = kind;
    slot.taken.store(0, std::memory_order_relaxed);
    slot.posted.store(next_, std::memory_order_release);
    if (ranks() > 1) group_->announce();
    return {next_++};
  }

  // While it waits a rank also takes what belongs to its other operations: the others may be
  // waiting for those first.
  void finish(const Operation& own) {
    constexpr int kSpinTurns = 50;  // of a yield each: tens of microseconds
    RankState& state = group_->state(rank_);
    for (int turn = 0;; ++turn) {
      const uint32_t seen = group_->changes();
      bool has_moved = false;
      {
        struct Reading {
          explicit Reading(std::atomic<bool>& flag) : flag_(flag) { flag_.store(true); }
          ~Reading() { flag_.store(false); }
          std::atomic<bool>& flag_;
        } reading(state.is_reading);
        for (uint64_t id = oldest_; id < next_ && !group_->has_failed(); ++id) {
          has_moved |= advance(operations_[id % kRing]);
        }
      }
      group_->throw_if_failed();
      const Slot& slot = group_->slot(rank_, own.what.id);
      if (own.left_to_take == 0 && slot.taken.load(std::memory_order_acquire) == ranks() - 1)
        return;
      if (has_moved) {
        turn = 0;
      } else if (turn < kSpinTurns) {
        std::this_thread::yield();
      } else {
        group_->await_change(seen);
      }
    }
  }

  // Takes what has been posted; true when that was something.
  bool advance(Operation& own) {
    if (!own.is_in_flight || own.left_to_take == 0) return false;
    const bool needs_all = own.what.kind == CommKind::kReduceScatter;
    for (int step = 1; needs_all && step < ranks(); ++step) {
      if (!is_posted(peer_of(step), own.what)) return false;
    }
    bool has_moved = false, is_last = false;
    for (int step = 1; step < ranks(); ++step) {  // from the next rank on: not all from the first
      const int peer = peer_of(step);
      char& has_taken = own.has_taken[static_cast<size_t>(peer)];
      if (has_taken || !is_posted(peer, own.what)) continue;
      take(own, peer);
      has_taken = true;
      has_moved = true;
      --own.left_to_take;
      if (needs_all) continue;  // nothing was read yet
      is_last |= mark_taken(peer, own.what.id);
    }
    if (needs_all) {
      sum_pieces(own);
      for (int step = 1; step < ranks(); ++step) is_last |= mark_taken(peer_of(step), own.what.id);
    }
    if (is_last) group_->announce();
    return has_moved;
  }

  int peer_of(int step) const { return (rank_ + step) % ranks(); }

  // True when that rank waits for nobody else.
  bool mark_taken(int peer, uint64_t id) {
    return group_->slot(peer, id).taken.fetch_add(1, std::memory_order_acq_rel) == ranks() - 2;
  }

  bool is_posted(int peer, CommOperation what) {
    const bool is_gone = group_->state(peer).is_gone.load();
    if (group_->slot(peer, what.id).posted.load(std::memory_order_acquire) == what.id) return true;
    if (is_gone && !group_->has_failed()) {
      throw make_kind_error(what, rank_, CommKind::kEnd, peer);
    }
    return false;
  }

  void take(const Operation& own, int peer) {
    const Slot& theirs = group_->slot(peer, own.what.id);
    if (theirs.kind != own.what.kind) {
      throw make_kind_error(own.what, rank_, theirs.kind, peer);
    }
    if (own.what.kind == CommKind::kExchange) {
      move_pieces(own.what, peer, theirs.pieces, own.receives);
      return;
    }
    const std::vector<CommPiece>& mine = group_->slot(rank_, own.what.id).pieces;
    check_same_list(own.what, rank_, mine, peer, theirs.pieces);
    if (own.what.kind != CommKind::kAllGather) return;
    for (size_t i = 0; i < mine.size(); ++i) {
      if (mine[i].rank == peer) copy_bytes(mine[i].data, theirs.pieces[i].data, mine[i].bytes);
    }
  }

  void move_pieces(CommOperation what, int from, std::span<const CommPiece> sends,
                   std::span<const CommPiece> receives) {
    pair_pieces(what, from, sends, rank_, receives, [](const CommPiece& to, const CommPiece& sent) {
      copy_bytes(to.data, sent.data, to.bytes);
    });
  }

  // The pieces of this rank, in blocks that stay in the first cache.
  void sum_pieces(const Operation& own) {
    constexpr int64_t kGrain = 1024;
    const std::vector<CommPiece>& mine = group_->slot(rank_, own.what.id).pieces;
    for (size_t i = 0; i < mine.size(); ++i) {
      if (mine[i].rank != rank_) continue;
      const auto count = static_cast<int64_t>(mine[i].bytes / sizeof(float));
      parallel_ranges(count, kGrain, [&](int64_t begin, int64_t end) {
        const auto part_of = [&](int rank) {
          return static_cast<float*>(group_->slot(rank, own.what.id).pieces[i].data) + begin;
        };
        std::array<float, kGrain> sum;
        std::memcpy(sum.data(), part_of(0), static_cast<size_t>(end - begin) * sizeof(float));
        for (int rank = 1; rank < ranks(); ++rank) {
          const float* const part = part_of(rank);
          for (int64_t j = 0; j < end - begin; ++j) sum[static_cast<size_t>(j)] += part[j];
        }
        std::memcpy(part_of(rank_), sum.data(), static_cast<size_t>(end - begin) * sizeof(float));
      });
    }
  }

  const std::shared_ptr<ThreadGroup> group_;
  const int rank_;
  std::vector<Operation> operations_;  // [kRing]
  uint64_t oldest_ = 1, next_ = 1;     // operations in flight lie between
};

}  // namespace

std::vector<std::unique_ptr<Comm>> make_thread_comms(int ranks) {
  if (ranks < 1) {
    throw Error("ranks are at least one: \"" + std::to_string(ranks) + "\"");
  }
  const auto group = std::make_shared<ThreadGroup>(ranks);
  std::vector<std::unique_ptr<Comm>> comms;
  for (int rank = 0; rank < ranks; ++rank) {
    comms.push_back(std::make_unique<ThreadComm>(group, rank));
  }
  return comms;
}

}  // namespace pg
