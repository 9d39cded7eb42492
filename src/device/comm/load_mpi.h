// MPI, for ranks on several machines. It lies in a module beside the program, comm_mpi.so, so that a
// program that is not asked for it starts without MPI installed.
#pragma once
#include <memory>
#include <string>

#include "src/device/comm/comm.h"

namespace pg {

// The Comm of this process among those that mpirun or srun started; once in a process. Buffers are
// host memory. All its calls come from the thread that made it. fail() tells the reason on stderr
// and ends every process at once; so does an operation that fails or meets another one. Throws Error
// where there is no MPI.
std::unique_ptr<Comm> make_mpi_comm();

// Why make_mpi_comm() would find no MPI, or empty.
std::string why_no_mpi();

}  // namespace pg
