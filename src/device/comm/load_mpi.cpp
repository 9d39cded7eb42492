#include "src/device/comm/load_mpi.h"

#include <dlfcn.h>

#include <filesystem>
#include <system_error>

#include "src/base/error.h"

namespace pg {

std::unique_ptr<Comm> make_mpi_comm() {
  std::error_code unknown;  // leaves the path empty: the loader then looks where it always does
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", unknown);
  return make_mpi_comm((program.parent_path() / "comm_mpi.so").string());
}

std::unique_ptr<Comm> make_mpi_comm(const std::string& module_path) {
  const auto refuse = [] {
    const char* const reason = ::dlerror();
    return Error(std::string("no MPI here: \"") + (reason != nullptr ? reason : "") +
                 "\"; install libopenmpi-dev and openmpi-bin and build again, or start one process "
                 "with --ranks N");
  };
  // Global: OpenMPI loads parts of its own that look for its symbols. Never unloaded.
  void* const module = ::dlopen(module_path.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (module == nullptr) throw refuse();
  using Maker = Comm* (*)();
  const auto make = reinterpret_cast<Maker>(::dlsym(module, "pg_make_mpi_comm"));
  if (make == nullptr) throw refuse();
  return std::unique_ptr<Comm>(make());
}

}  // namespace pg
