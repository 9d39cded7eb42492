// In place of src/device/cpu/training: nothing here is part of a score.
#include "eval/scorer/left_out.h"
#include "src/device/cpu/cpu_matmul_onednn.h"
#include "src/device/cpu/cpu_ops.h"
#include "src/device/cpu/cpu_peak.h"

namespace pg {

void CpuOps::newton_schulz(Out, std::span<const NewtonSchulzCoefficients>, NewtonSchulzStart,
                           const MatrixBatch&) {
  fail_left_out();
}
void CpuOps::normuon(Out, Out, In, In, bool, float, const MatrixBatch&, int64_t) {
  fail_left_out();
}
void CpuOps::balance_neurons(Out, Out, In, float, bool, const MatrixBatch&) { fail_left_out(); }
void CpuOps::lerp(Out, In, In, int64_t) { fail_left_out(); }

CpuPeak::CpuPeak(Device& device, CpuOps& ops) : device_(device), ops_(ops) {}
CpuPeak::~CpuPeak() = default;
DevicePeak CpuPeak::measure() { fail_left_out(); }
double CpuPeak::measure_matmul() { fail_left_out(); }

}  // namespace pg
