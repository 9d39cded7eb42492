// Values in the other type.
#include "src/device/cpu/cpu_loops.h"
#include "src/device/cpu/cpu_ops.h"

namespace pg {
namespace {

using namespace cpu;

template <class To, class From>
void cast_loop(Out y, const From* x, int64_t count) {
  parallel_ranges(count, kChunkElements, [&](int64_t begin, int64_t end) {
    const From* const from = x + begin;
    write<To>(y, begin, end - begin, [=](int64_t i) { return static_cast<float>(from[i]); });
  });
}

}  // namespace

void CpuOps::cast(Out y, In x, int64_t count) {
  with_activation_type(x.dtype, [&]<class From>() {
    with_activation_type(y.dtype, [&]<class To>() { cast_loop<To>(y, x.as<From>(), count); });
  });
}

}  // namespace pg
