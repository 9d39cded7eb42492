// Where cuDNN comes from: opened at run time, so that CUDA devices need it only where they are asked
// for with it.
#pragma once

namespace pg {

// The library's handle, as dlopen() gives it; it stays open. Throws Error where it is missing.
void* open_cudnn_library();

}  // namespace pg
