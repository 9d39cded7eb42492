// Linked where there is no CUDA toolkit with NCCL (cmake/comm.cmake).
#include "src/base/error.h"
#include "src/device/comm/nccl/comm_nccl.h"

namespace pg {

std::shared_ptr<NcclGroup> make_nccl_group(int /*ranks*/) {
  throw Error("this build has no NCCL; build with the preset cuda where the CUDA toolkit is");
}

std::unique_ptr<Comm> make_nccl_comm(std::shared_ptr<NcclGroup> /*group*/, Comm& /*host*/,
                                     void* /*stream*/) {
  return nullptr;  // nobody has a group to call it with
}

}  // namespace pg
