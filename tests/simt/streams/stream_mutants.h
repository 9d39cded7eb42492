// Devices with one bug each in what they do with streams, events and graphs, made by stream_mutants.cmake.
#pragma once
#include <vector>

#include "tests/simt/streams/stream_check.h"

namespace pg {

struct StreamMutant {
  const char* name;
  MakeCudaDevice make;
};
std::vector<StreamMutant> stream_mutants();

}  // namespace pg
