#include "tests/simt/fake_cudnn/plans/fake_driver.h"

#include <cstdio>
#include <cstring>

namespace {

FakeDriverImage& image() {
  static FakeDriverImage the_image;
  return the_image;
}

// Of the driver's errors: what a library that only stands in for one says, and what it cannot do.
constexpr int kDone = 0, kStubLibrary = 34, kNotSupported = 801;
constexpr int kVersion = 13000;

// Handles: what they point to says nothing.
int handle_target;
template <class Handle>
int give(Handle** handle) {
  *handle = &handle_target;
  return kDone;
}

}  // namespace

#define VISIBLE __attribute__((visibility("default")))
#define REFUSED_CALL(name) \
  VISIBLE int name() { return kNotSupported; }

extern "C" {

VISIBLE const FakeDriverImage* fake_driver_image() { return &image(); }

// NVRTC would ask for tables of the driver's own otherwise.
VISIBLE int cuInit(unsigned) { return kStubLibrary; }
VISIBLE int cuDriverGetVersion(int* version) {
  *version = kVersion;
  return kDone;
}
VISIBLE int cuDeviceGetCount(int* count) {
  *count = 1;
  return kDone;
}
VISIBLE int cuDeviceGet(int* device, int) {
  *device = 0;
  return kDone;
}
VISIBLE int cuCtxGetCurrent(void** context) { return give(context); }
VISIBLE int cuLibraryLoadData(void** library, const void* code, void*, void*, unsigned, void*,
                              void*, unsigned) {
  std::memcpy(image().header, code, sizeof image().header);
  ++image().loads;
  return give(library);
}
VISIBLE int cuLibraryGetKernel(void** kernel, void*, const char* name) {
  std::snprintf(image().kernel, sizeof image().kernel, "%s", name);
  return give(kernel);
}
VISIBLE int cuLibraryUnload(void*) { return kDone; }
VISIBLE int cuKernelSetAttribute(int, int, void*, int) { return kDone; }
VISIBLE int cuKernelGetAttribute(int* value, int, void*, int) {
  *value = 0;
  return kDone;
}
VISIBLE int cuOccupancyMaxPotentialClusterSize(int* size, void*, const void*) {
  *size = 8;
  return kDone;
}
VISIBLE int cuGetErrorName(int, const char** text) {
  *text = "an error of the driver that is not there";
  return kDone;
}
VISIBLE int cuGetErrorString(int error, const char** text) { return cuGetErrorName(error, text); }

// What cuDNN looks up as well, and a plan that is not run does not call.
REFUSED_CALL(cuCtxGetDevice)
REFUSED_CALL(cuCtxGetLimit)
REFUSED_CALL(cuCtxPopCurrent)
REFUSED_CALL(cuCtxPushCurrent)
REFUSED_CALL(cuDeviceGetAttribute)
REFUSED_CALL(cuDevicePrimaryCtxRelease)
REFUSED_CALL(cuDevicePrimaryCtxReset)
REFUSED_CALL(cuDevicePrimaryCtxRetain)
REFUSED_CALL(cuFuncGetAttribute)
REFUSED_CALL(cuFuncSetAttribute)
REFUSED_CALL(cuLaunchCooperativeKernel)
REFUSED_CALL(cuLaunchKernel)
REFUSED_CALL(cuLaunchKernelEx)
REFUSED_CALL(cuLibraryLoadFromFile)
REFUSED_CALL(cuLinkAddData)
REFUSED_CALL(cuLinkAddData_v2)
REFUSED_CALL(cuLinkAddFile_v2)
REFUSED_CALL(cuLinkComplete)
REFUSED_CALL(cuLinkCreate)
REFUSED_CALL(cuLinkCreate_v2)
REFUSED_CALL(cuLinkDestroy)
REFUSED_CALL(cuMemcpyDtoH_v2)
REFUSED_CALL(cuModuleGetFunction)
REFUSED_CALL(cuModuleGetGlobal_v2)
REFUSED_CALL(cuModuleLoadData)
REFUSED_CALL(cuModuleLoadDataEx)
REFUSED_CALL(cuModuleLoadFatBinary)
REFUSED_CALL(cuModuleUnload)
REFUSED_CALL(cuOccupancyMaxActiveBlocksPerMultiprocessor)
REFUSED_CALL(cuStreamGetCtx)
REFUSED_CALL(cuStreamSynchronize)
REFUSED_CALL(cuTensorMapEncodeTiled)

}  // extern "C"
