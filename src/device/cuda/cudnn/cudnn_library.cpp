#include "src/device/cuda/cudnn/cudnn_library.h"

#include <dlfcn.h>

#include <string>

#include "src/base/error.h"

namespace pg {

void* open_cudnn_library() {
  if (void* const library = ::dlopen("libcudnn.so.9", RTLD_NOW | RTLD_LOCAL)) return library;
  const char* const reason = ::dlerror();
  throw Error(std::string("cuDNN: \"") + (reason != nullptr ? reason : "") +
              "\"; install cuDNN 9 (python3 -m pip install nvidia-cudnn-cu13) and name its lib "
              "folder in LD_LIBRARY_PATH, or use --device cuda");
}

}  // namespace pg
