// A driver of a GPU that is not there, as libcuda.so.1: it takes the machine code that cuDNN compiles
// and does nothing with it. Opened by its path, it is the one that cuDNN then finds by that name.
#pragma once
#include <cstddef>

extern "C" {

struct FakeDriverImage {
  unsigned char header[20];  // the first bytes of what was loaded last
  size_t loads;              // so far
  char kernel[256];          // the name of what was asked for in it last
};
const FakeDriverImage* fake_driver_image();

}  // extern "C"
