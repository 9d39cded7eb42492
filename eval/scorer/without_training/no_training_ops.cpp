// In place of src/device/cpu/training: nothing here is part of a score.
#include "src/base/error.h"
#include "src/device/cpu/cpu_matmul_onednn.h"
#include "src/device/cpu/cpu_ops.h"
#include "src/device/cpu/cpu_peak.h"

namespace pg {
namespace {

[[noreturn]] void fail() { throw Error("this scorer was built without training; use train_gpt"); }

}  // namespace

void CpuOps::newton_schulz(Out, std::span<const NewtonSchulzCoefficients>, const MatrixBatch&) {
  fail();
}
void CpuOps::lerp(Out, In, In, int64_t) { fail(); }

CpuPeak::CpuPeak(Device& device, CpuOps& ops) : device_(device), ops_(ops) {}
CpuPeak::~CpuPeak() = default;
DevicePeak CpuPeak::measure() { fail(); }
double CpuPeak::measure_matmul() { fail(); }

}  // namespace pg
