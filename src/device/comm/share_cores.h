// Ranks that are processes of one machine: how many threads each uses.
#pragma once
#include "src/device/comm/comm.h"

namespace pg {

// Divides the cores among the ranks that may use the same ones (mpirun without binding gives all of
// them to every process). Not where OMP_NUM_THREADS says how many. All ranks call it, outside loops.
void share_cores(Comm& comm);

}  // namespace pg
