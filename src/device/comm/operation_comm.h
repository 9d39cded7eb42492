// Comm by operations that are started with their lists and finished by wait(): what threads and MPI
// share.
#pragma once
#include <span>

#include "src/device/comm/comm.h"
#include "src/device/comm/comm_lists.h"

namespace pg {

class OperationComm : public Comm {
 public:
  CommTicket exchange(std::span<const CommPiece> sends, std::span<const CommPiece> receives) final {
    return start(CommKind::kExchange, sends, receives);
  }
  CommTicket all_gather(std::span<const CommPiece> pieces) final {
    return start(CommKind::kAllGather, pieces, {});
  }
  CommTicket reduce_scatter(std::span<const CommPiece> pieces) final {
    return start(CommKind::kReduceScatter, pieces, {});
  }
  void barrier() final { wait(start(CommKind::kBarrier, {}, {})); }

 protected:
  // `receives` of an exchange alone.
  virtual CommTicket start(CommKind kind, std::span<const CommPiece> pieces,
                           std::span<const CommPiece> receives) = 0;
};

}  // namespace pg
