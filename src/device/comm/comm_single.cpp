#include "src/device/comm/comm_single.h"

#include <cstring>
#include <string>

#include "src/device/comm/comm_lists.h"

namespace pg {
namespace {

class SingleComm final : public Comm {
 public:
  std::string_view name() const override { return "single"; }
  int rank() const override { return 0; }
  int ranks() const override { return 1; }

  CommTicket exchange(std::span<const CommPiece> sends,
                      std::span<const CommPiece> receives) override {
    const CommOperation operation = start(CommKind::kExchange, sends);
    check_piece_ranks(operation, receives, 0, 1);
    pair_pieces(operation, 0, sends, 0, receives, [](const CommPiece& to, const CommPiece& from) {
      if (from.bytes > 0) std::memcpy(to.data, from.data, from.bytes);
    });
    return {operation.id};
  }

  CommTicket all_gather(std::span<const CommPiece> pieces) override {
    return {start(CommKind::kAllGather, pieces).id};
  }

  CommTicket reduce_scatter(std::span<const CommPiece> pieces) override {
    const CommOperation operation = start(CommKind::kReduceScatter, pieces);
    check_float_pieces(operation, pieces);
    return {operation.id};
  }

  void wait(CommTicket /*ticket*/) override {}
  void barrier() override { start(CommKind::kBarrier, {}); }
  void fail(std::string_view /*reason*/) noexcept override {}  // nobody else is there

 private:
  CommOperation start(CommKind kind, std::span<const CommPiece> pieces) {
    const CommOperation operation{kind, ++started_};
    check_piece_ranks(operation, pieces, 0, 1);
    return operation;
  }

  uint64_t started_ = 0;
};

}  // namespace

std::unique_ptr<Comm> make_single_comm() { return std::make_unique<SingleComm>(); }

}  // namespace pg
