// The ranks that this process serves, over a command's phases: training, scoring.
#pragma once
#include <functional>
#include <memory>

#include "src/device/comm/comm.h"
#include "src/device/comm/launch.h"

namespace pg {

class LocalRanks {
 public:
  // Joins the processes of an MPI job. Throws Error where they cannot be joined.
  explicit LocalRanks(const RankPlan& plan);
  ~LocalRanks();
  LocalRanks(const LocalRanks&) = delete;

  int ranks() const { return plan_.ranks; }
  // Whether rank 0 is here: the process that reads, writes and tells. One that has it not follows:
  // it runs the same phases in the same order, or none where it serves no rank.
  bool has_first() const { return plan_.kind != RankPlan::Kind::kNone && plan_.rank == 0; }
  bool has_none() const { return plan_.kind == RankPlan::Kind::kNone; }
  bool are_threads() const { return plan_.kind == RankPlan::Kind::kThreads; }

  // A phase: body(comm) for each rank of this process, as run_ranks() does. Between phases rank 0 has
  // the process's threads for itself. Processes of MPI that share cores divide them until the first
  // phase is over and in each later one, unless OMP_NUM_THREADS is set.
  void run(const std::function<void(Comm&)>& body);
  // No phase comes any more: processes part. An exception before ends the process without parting,
  // which its launcher tells the others.
  void leave();

 private:
  RankPlan plan_;
  std::unique_ptr<Comm> mpi_;
  int all_threads_ = 1, shared_threads_ = 1;  // without and with the other processes
};

}  // namespace pg
