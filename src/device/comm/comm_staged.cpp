#include "src/device/comm/comm_staged.h"

#include <algorithm>
#include <iterator>
#include <list>
#include <vector>

#include "src/base/check.h"

namespace pg {
namespace {

class StagedComm final : public Comm {
 public:
  StagedComm(Comm& host, Device& device) : host_(host), device_(device) {}

  std::string_view name() const override { return host_.name(); }
  int rank() const override { return host_.rank(); }
  int ranks() const override { return host_.ranks(); }

  CommTicket exchange(std::span<const CommPiece> sends,
                      std::span<const CommPiece> receives) override {
    Operation& operation = begin(sends, receives);
    for (size_t i = 0; i < sends.size(); ++i) send(sends[i], operation.pieces[i]);
    for (size_t i = 0; i < receives.size(); ++i) {
      operation.expect(receives[i], operation.receives[i]);
    }
    return add(host_.exchange(operation.pieces, operation.receives));
  }
  CommTicket all_gather(std::span<const CommPiece> pieces) override {
    Operation& operation = begin(pieces, {});
    for (size_t i = 0; i < pieces.size(); ++i) {
      if (pieces[i].rank == rank()) {
        send(pieces[i], operation.pieces[i]);
      } else {
        operation.expect(pieces[i], operation.pieces[i]);
      }
    }
    return add(host_.all_gather(operation.pieces));
  }
  CommTicket reduce_scatter(std::span<const CommPiece> pieces) override {
    Operation& operation = begin(pieces, {});
    for (size_t i = 0; i < pieces.size(); ++i) {
      send(pieces[i], operation.pieces[i]);
      if (pieces[i].rank == rank()) operation.expect(pieces[i], operation.pieces[i]);
    }
    return add(host_.reduce_scatter(operation.pieces));
  }
  void barrier() override { host_.barrier(); }

  void wait(CommTicket ticket) override {
    const auto found =
        std::find_if(under_way_.begin(), under_way_.end(),
                     [&](const Operation& operation) { return operation.ticket.id == ticket.id; });
    PG_CHECK(found != under_way_.end(), "wait() for an operation that is not under way");
    host_.wait(ticket);
    for (const auto& [to, from, bytes] : found->arrivals) device_.upload(to, from, bytes);
    free_.splice(free_.end(), under_way_, found);
  }
  void fail(std::string_view reason) noexcept override { host_.fail(reason); }
  Comm& host() override { return host_.host(); }

 private:
  struct Arrival {
    void* to;
    const void* from;
    size_t bytes;
  };
  // The lists of an operation in host memory, which is kept for the next.
  struct Operation {
    CommTicket ticket;
    std::vector<uint8_t> memory;
    std::vector<CommPiece> pieces, receives;
    std::vector<Arrival> arrivals;

    void begin(std::span<const CommPiece> all_pieces, std::span<const CommPiece> all_receives) {
      pieces.assign(all_pieces.begin(), all_pieces.end());
      receives.assign(all_receives.begin(), all_receives.end());
      arrivals.clear();
      size_t bytes = 0;
      for (const auto* list : {&pieces, &receives}) {
        for (const CommPiece& piece : *list) bytes += padded(piece.bytes);
      }
      if (memory.size() < bytes) memory.resize(bytes);
      uint8_t* place = memory.data();
      for (auto* list : {&pieces, &receives}) {
        for (CommPiece& piece : *list) {
          piece.data = place;
          place += padded(piece.bytes);
        }
      }
    }
    void expect(const CommPiece& piece, const CommPiece& staged) {
      if (piece.bytes > 0) arrivals.push_back({piece.data, staged.data, piece.bytes});
    }
    // Floats are summed in place.
    static size_t padded(size_t bytes) { return (bytes + 15) / 16 * 16; }
  };

  Operation& begin(std::span<const CommPiece> pieces, std::span<const CommPiece> receives) {
    if (free_.empty()) free_.emplace_back();
    free_.back().begin(pieces, receives);
    return free_.back();
  }
  void send(const CommPiece& piece, const CommPiece& staged) {
    if (piece.bytes == 0) return;  // its address may be none
    device_.download(staged.data, piece.data, piece.bytes);
  }
  // The operation that was begun is under way.
  CommTicket add(CommTicket ticket) {
    free_.back().ticket = ticket;
    under_way_.splice(under_way_.end(), free_, std::prev(free_.end()));
    return ticket;
  }

  Comm& host_;
  Device& device_;
  std::list<Operation> under_way_, free_;
};

}  // namespace

std::unique_ptr<Comm> make_staged_comm(Comm& host, Device& device) {
  return std::make_unique<StagedComm>(host, device);
}

}  // namespace pg
