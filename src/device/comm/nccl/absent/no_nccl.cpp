// Linked where the CUDA toolkit has no nccl.h (cmake/comm.cmake).
#include "src/device/comm/nccl/nccl_library.h"

namespace pg {

std::shared_ptr<const NcclLibrary> open_nccl(std::string& refusal) {
  refusal = "no NCCL: this build was made without nccl.h";
  return nullptr;
}

}  // namespace pg
