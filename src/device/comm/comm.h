// Ranks talking to each other: the other half of the seam. Who moves the bytes - threads of this
// process, MPI, NCCL - is known below src/device/comm/ only.
//
// Every rank starts the same operations in the same order; what differs is its own part in each.
// Buffers lie in the rank's device memory and stay untouched from the start of an operation until
// wait() on its ticket has returned. Where an operation's pieces go to (or come from) one rank, they
// match in the order in which they are listed. Nothing here adds numbers but reduce_scatter.
//
// A rank that cannot go on calls fail() and unwinds; every other rank's next start or wait throws an
// Error that names the rank and the reason, within seconds.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace pg {

// Bytes for, or from, one rank.
struct CommPiece {
  int rank = 0;
  void* data = nullptr;
  size_t bytes = 0;
};

// Names an operation that was started; wait() takes each once.
struct CommTicket {
  uint64_t id = 0;
};

class Comm {
 public:
  virtual ~Comm() = default;

  virtual std::string_view name() const = 0;  // "single", "threads", "mpi", "nccl"
  virtual int rank() const = 0;
  virtual int ranks() const = 0;

  // Sends each of `sends` to its rank and fills each of `receives` from its rank; a piece may be for
  // this rank itself. No send overlaps a receive.
  virtual CommTicket exchange(std::span<const CommPiece> sends,
                              std::span<const CommPiece> receives) = 0;
  // In place, the same list on every rank: piece.data of each holds that of the one of piece.rank.
  virtual CommTicket all_gather(std::span<const CommPiece> pieces) = 0;
  // In place, the same list on every rank, pieces of f32: on piece.rank each element becomes the sum
  // over all ranks, in an order of the implementation's own; on the others it is undefined. For
  // sums = "fast"; ordered sums are an exchange and a fold of the rank's own.
  virtual CommTicket reduce_scatter(std::span<const CommPiece> pieces) = 0;
  // Returns when the operation's result may be read and its buffers reused by work that this rank
  // gives to its device afterwards.
  virtual void wait(CommTicket ticket) = 0;
  // Returns when every rank has come here.
  virtual void barrier() = 0;
  // Tells the others that this rank ends, and why. Never throws, does not wait.
  virtual void fail(std::string_view reason) noexcept = 0;
  // The same ranks' Comm for buffers in host memory, with an order of operations of its own: what
  // hosts tell each other without waiting for their devices. Itself where devices use host memory.
  virtual Comm& host() { return *this; }

  void broadcast(void* data, size_t bytes, int root) {
    const CommPiece piece{root, data, bytes};
    wait(all_gather({&piece, 1}));
  }
};

}  // namespace pg
