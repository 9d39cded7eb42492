#include "src/device/comm/load_mpi.h"

#include <dlfcn.h>

#include <filesystem>
#include <system_error>

#include "src/base/error.h"

namespace pg {
namespace {

using Maker = Comm* (*)();

struct Loaded {
  Maker make = nullptr;
  std::string refusal;  // why there is none
};

Loaded load_module() {
  std::error_code unknown;  // leaves the path empty: the loader then looks where it always does
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", unknown);
  const std::string path = (program.parent_path() / "comm_mpi.so").string();
  // Global: OpenMPI loads parts of its own that look for its symbols. Never unloaded.
  Loaded loaded;
  if (void* const module = ::dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL)) {
    loaded.make = reinterpret_cast<Maker>(::dlsym(module, "pg_make_mpi_comm"));
  }
  if (loaded.make == nullptr) {
    const char* const reason = ::dlerror();
    loaded.refusal = std::string("no MPI: \"") + (reason != nullptr ? reason : "") +
                     "\"; install libopenmpi-dev and openmpi-bin and build again, or start one "
                     "process with --ranks N";
  }
  return loaded;
}

}  // namespace

std::unique_ptr<Comm> make_mpi_comm() {
  const Loaded loaded = load_module();
  if (loaded.make == nullptr) throw Error("there is " + loaded.refusal);
  return std::unique_ptr<Comm>(loaded.make());
}

std::string why_no_mpi() { return load_module().refusal; }

}  // namespace pg
