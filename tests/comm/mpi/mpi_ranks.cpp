// One rank of a job that mpirun started, for mpi_test.py:
//   mpi_ranks launch     serves what the launcher's variables say, and tells its threads
//   mpi_ranks check      does what every Comm must do
//   mpi_ranks wait       rank 2 sleeps, the others wait for it
//   mpi_ranks fail       rank 1 fails while the others wait
//   mpi_ranks throw      an exception leaves the block that holds rank 1's Comm
//   mpi_ranks leave      rank 1 leaves early
//   mpi_ranks sizes | counts | operations | gather   ranks that disagree
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <thread>

#include "src/base/error.h"
#include "src/base/threads.h"
#include "src/device/comm/launch.h"
#include "src/device/comm/load_mpi.h"
#include "src/device/comm/local_ranks.h"
#include "tests/comm/comm_checks.h"

namespace pg {
namespace {

void disagree(Comm& comm, std::string_view what) {
  std::array<float, 4> floats = {};
  const bool is_first = comm.rank() == 0;
  const CommPiece sent{1, floats.data(), 8}, received{0, floats.data(), 4};
  const CommPiece shared{0, floats.data(), is_first ? size_t{8} : size_t{16}};
  if (what == "sizes") {
    comm.wait(is_first ? comm.exchange({&sent, 1}, {}) : comm.exchange({}, {&received, 1}));
  } else if (what == "counts") {
    comm.wait(is_first ? comm.exchange({}, {}) : comm.exchange({}, {&received, 1}));
  } else if (what == "operations") {
    comm.wait(is_first ? comm.exchange({}, {}) : comm.all_gather({}));
  } else {
    comm.wait(comm.all_gather({&shared, 1}));
  }
}

void run_rank(Comm& comm, std::string_view what) {
  // One write, so that ranks do not mix their lines.
  const std::string line =
      "rank " + std::to_string(comm.rank()) + " pid " + std::to_string(::getpid()) + "\n";
  std::fputs(line.c_str(), stdout);
  std::fflush(stdout);
  comm.barrier();
  if (what == "check") {
    check_comm(comm, 17);
    check_operations_in_a_row(comm, 10000);
  } else if (what == "wait") {
    if (comm.rank() == 2) std::this_thread::sleep_for(std::chrono::minutes(5));
    comm.barrier();
  } else if (what == "fail") {
    if (comm.rank() == 1) comm.fail("the disk is full");
    comm.barrier();
  } else if (what == "throw") {
    if (comm.rank() == 1) throw Error("thrown");
    comm.barrier();
  } else if (what == "leave") {
    if (comm.rank() != 1) comm.barrier();
  } else {
    disagree(comm, what);
  }
}

void launch() {
  const RankPlan plan = plan_ranks(detect_launch(), 0);
  if (!plan.note.empty()) std::fprintf(stderr, "%s\n", plan.note.c_str());
  const int threads = thread_count();
  LocalRanks ranks(plan);
  ranks.run([&](Comm& comm) {
    const std::string line = std::string(comm.name()) + " rank " + std::to_string(comm.rank()) +
                             " of " + std::to_string(comm.ranks()) + " threads " +
                             std::to_string(thread_count()) + " of " + std::to_string(threads) +
                             "\n";
    std::fputs(line.c_str(), stdout);
    std::fflush(stdout);
    comm.barrier();
  });
}

int run(std::string_view what) {
  try {
    if (what == "launch") {
      launch();
      return 0;
    }
    const std::unique_ptr<Comm> comm = make_mpi_comm();
    run_rank(*comm, what);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}

}  // namespace
}  // namespace pg

int main(int count, char** arguments) { return pg::run(count > 1 ? arguments[1] : "check"); }
