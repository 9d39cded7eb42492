// What ranks tell each other in a step: their parts of the gradient, the sums of its squares, and the
// parameters that each has stepped.
#pragma once
#include <optional>
#include <vector>

#include "src/device/comm/comm.h"
#include "src/train/optimizer.h"
#include "src/train/ordered_sum.h"
#include "src/train/train_config.h"

namespace pg {

class RankExchange {
 public:
  // All must outlive this. leaf_losses f64 [leaves]: a rank fills in those of its own leaves.
  RankExchange(Comm& comm, Weights& weights, Optimizer& optimizer, double* leaf_losses,
               int64_t leaves, Sums sums);

  // From each rank's sum in Weights::gradients(): the sum of all on the rank that owns a parameter.
  // Ordered sums are OrderedSum's.
  void reduce_gradients();
  // Every rank gets the sums of squares and the losses of the leaves.
  void gather_sums();
  // Every rank gets the masters that others have stepped: of AdamW, of a bank. They are there after
  // finish_gathers().
  void start_gather_adamw();
  void start_gather_bank(int bank);
  void finish_gathers();
  // Every rank gets the optimizer's state of all parameters, as a checkpoint keeps it.
  void gather_state();
  // Rank 0's values on every rank.
  void broadcast(float* values, int64_t elements);

 private:
  Comm& comm_;
  std::optional<OrderedSum> ordered_;  // absent: sums are reduce_scatter's
  std::vector<CommPiece> scattered_, sum_pieces_, adamw_pieces_, state_pieces_;
  std::vector<std::vector<CommPiece>> bank_pieces_;
  std::vector<CommTicket> gathers_;  // in flight
};

}  // namespace pg
