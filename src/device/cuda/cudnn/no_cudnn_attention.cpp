// In the place of cudnn_attention.cpp where the build found no front end of cuDNN.
#include "src/base/error.h"
#include "src/device/cuda/cudnn/cudnn_attention.h"

namespace pg {
namespace {

[[noreturn]] void refuse() {
  throw Error(
      "cuDNN: this build has none; run scripts/fetch_cudnn_frontend.sh and build again, or use "
      "--device cuda");
}

}  // namespace

std::unique_ptr<GpuAttention> make_cudnn_attention(kernels::Stream, int) { refuse(); }
std::unique_ptr<GpuAttention> make_cudnn_planner(std::string_view, int) { refuse(); }

}  // namespace pg
