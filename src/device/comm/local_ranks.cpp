#include "src/device/comm/local_ranks.h"

#include <exception>
#include <string>

#include "src/base/error.h"
#include "src/base/threads.h"
#include "src/device/comm/load_mpi.h"
#include "src/device/comm/run_ranks.h"
#include "src/device/comm/share_cores.h"

namespace pg {

LocalRanks::LocalRanks(const RankPlan& plan) : plan_(plan) {
  if (plan.kind != RankPlan::Kind::kMpi) return;
  all_threads_ = thread_count();
  mpi_ = make_mpi_comm();
  const int joined = mpi_->ranks();
  if (joined != plan.ranks) {
    mpi_.reset();
    plan_.kind = RankPlan::Kind::kNone;
    if (plan.rank != 0) return;  // rank 0 tells
    throw Error("of \"" + std::to_string(plan.ranks) +
                "\" processes that were started, MPI joined " + std::to_string(joined) +
                "; use the mpirun of this OpenMPI, with SLURM srun --mpi=pmix");
  }
  fail_on_throw(*mpi_, [&] { share_cores(*mpi_); });
  shared_threads_ = thread_count();
}

LocalRanks::~LocalRanks() {
  // Parting would wait for the others; ending them from here would hide why.
  if (std::uncaught_exceptions() > 0) static_cast<void>(mpi_.release());
}

void LocalRanks::leave() { mpi_.reset(); }

void LocalRanks::run(const std::function<void(Comm&)>& body) {
  switch (plan_.kind) {
    case RankPlan::Kind::kNone:
      return;
    case RankPlan::Kind::kThreads:
      return run_ranks(plan_.ranks, body);
    case RankPlan::Kind::kMpi:
      set_thread_count(shared_threads_);
      fail_on_throw(*mpi_, [&] { body(*mpi_); });
      set_thread_count(all_threads_);
      return;
  }
}

}  // namespace pg
