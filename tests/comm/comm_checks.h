// What every Comm must do, checked from within a rank; throws where it does not. The same checks run
// over threads of one process (comm_test.cpp) and under mpirun (mpi_ranks.cpp).
#pragma once
#include <cstdint>
#include <span>
#include <string>

#include "src/device/comm/comm.h"

namespace pg {

// Throws std::runtime_error(what) when it does not hold.
void require(bool holds, const std::string& what);

// Lists of random lengths and sizes, several operations in flight, waited for in an order of each
// rank's own.
void check_random_exchanges(Comm& comm, uint64_t seed, int rounds);
void check_random_gathers(Comm& comm, uint64_t seed, int rounds);
// Sums of integers, exact in any order.
void check_random_sums(Comm& comm, uint64_t seed, int rounds);
// `operations` in a row that reuse a few buffers as soon as wait() has returned.
void check_operations_in_a_row(Comm& comm, int operations);
void check_broadcast_and_barrier(Comm& comm);
// All of the above.
void check_comm(Comm& comm, uint64_t seed);

}  // namespace pg
