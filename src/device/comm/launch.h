// Which ranks this process is to serve: one it was started as, all of a machine, or none.
//
// How a command uses it, before it reads data or opens a run folder: LocalRanks in local_ranks.h.
#pragma once
#include <functional>
#include <string>
#include <string_view>

#include "src/device/comm/comm.h"

namespace pg {

// How this process was started.
struct Launch {
  enum class Starter { kNone, kMpirun, kSrun, kTorchrun };
  Starter starter = Starter::kNone;
  int rank = 0, ranks = 1;
  // Of torchrun's ranks, which nothing here joins between machines.
  bool are_on_one_machine = true;
  std::string master;  // MASTER_ADDR
};

// The value of an environment variable, or null.
using LookUpVariable = std::function<const char*(const char* name)>;

// Reads the variables of mpirun (OMPI_COMM_WORLD_*, PMI_*), srun (SLURM_* of a step; an sbatch
// script is none) and torchrun (RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR). `host`
// is this machine's name. Throws Error where they make no sense.
Launch detect_launch(const LookUpVariable& look_up, std::string_view host);
// The same of this process.
Launch detect_launch();

struct RankPlan {
  enum class Kind {
    kThreads,  // all `ranks` in this process
    kMpi,      // rank `rank` of `ranks`
    kNone,     // rank 0's process serves this one too, or tells what is wrong
  };
  Kind kind = Kind::kThreads;
  int rank = 0, ranks = 1;
  std::string note;  // for stderr, or empty
};

// `wanted_ranks`: of the command line, 0 for none. `mpi_refusal`: why_no_mpi(). Throws Error, on rank
// 0 alone, where the two do not go together or there is no MPI to join the processes.
RankPlan plan_ranks(const Launch& launch, int wanted_ranks, std::string_view mpi_refusal);
RankPlan plan_ranks(const Launch& launch, int wanted_ranks);

}  // namespace pg
