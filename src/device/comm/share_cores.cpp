#include "src/device/comm/share_cores.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "src/base/threads.h"
#include "src/device/comm/run_ranks.h"

namespace pg {
namespace {

struct Place {
  std::array<char, 256> host = {};
  cpu_set_t cores = {};

  bool operator==(const Place& other) const {
    return host == other.host && CPU_EQUAL(&cores, &other.cores) != 0;
  }
};

}  // namespace

void share_cores(Comm& comm) {
  std::vector<Place> places(static_cast<size_t>(comm.ranks()));
  const auto own = places.begin() + comm.rank();
  ::gethostname(own->host.data(), own->host.size() - 1);
  ::sched_getaffinity(0, sizeof own->cores, &own->cores);
  std::vector<CommPiece> pieces;
  for (Place& place : places) {
    pieces.push_back({static_cast<int>(pieces.size()), &place, sizeof place});
  }
  comm.wait(comm.all_gather(pieces));
  if (std::getenv("OMP_NUM_THREADS") != nullptr) return;
  const auto sharers = static_cast<int>(std::count(places.begin(), places.end(), *own));
  const auto before = static_cast<int>(std::count(places.begin(), own, *own));
  set_thread_count(divide_threads(thread_count(), sharers, before));
}

}  // namespace pg
