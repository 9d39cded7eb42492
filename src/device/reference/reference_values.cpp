// Storage conversion of the reference ops; see reference_values.h.
#include "src/device/reference/reference_values.h"

#include <bit>
#include <cmath>
#include <limits>

namespace pg::reference {
namespace {

Values read_raw(const void* data, DType dtype, int64_t count) {
  Values values(data == nullptr ? 0 : static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) {
    switch (dtype) {
      case DType::kF32:
        values[i] = static_cast<const float*>(data)[i];
        break;
      case DType::kBF16:
        values[i] = static_cast<float>(static_cast<const bf16*>(data)[i]);
        break;
      case DType::kF64:
        values[i] = static_cast<const double*>(data)[i];
        break;
      case DType::kI32:
        values[i] = static_cast<const int32_t*>(data)[i];
        break;
    }
  }
  return values;
}

}  // namespace

bf16 round_to_bf16(double v) {
  float nearest = static_cast<float>(v);
  // Exactly between two bf16 values only because the first rounding moved it there: step back
  // towards v, so that the second rounding goes to v's side.
  const bool is_tie = (std::bit_cast<uint32_t>(nearest) & 0xffffu) == 0x8000u;
  if (is_tie && static_cast<double>(nearest) != v && std::isfinite(v)) {
    const float infinity = std::numeric_limits<float>::infinity();
    nearest = std::nextafter(nearest, v > static_cast<double>(nearest) ? infinity : -infinity);
  }
  return bf16(nearest);
}

Values read(In x, int64_t count) { return read_raw(x.data, x.dtype, count); }
Values read(Out y, int64_t count) { return read_raw(y.data, y.dtype, count); }

Values read_or_ones(In x, int64_t count) {
  return x ? read(x, count) : Values(static_cast<size_t>(count), 1.0);
}

double read_scalar_or_one(In x) { return read_or_ones(x, 1)[0]; }

std::vector<int32_t> read_ids(In ids, int64_t count) {
  const int32_t* data = ids.as<int32_t>();
  return std::vector<int32_t>(data, data + count);
}

void write(Out y, const Values& values) {
  if (!y) return;
  const Values old = y.accumulate ? read(y, static_cast<int64_t>(values.size())) : Values();
  for (size_t i = 0; i < values.size(); ++i) {
    const double v = y.accumulate ? old[i] + values[i] : values[i];
    switch (y.dtype) {
      case DType::kF32:
        static_cast<float*>(y.data)[i] = static_cast<float>(v);
        break;
      case DType::kBF16:
        static_cast<bf16*>(y.data)[i] = round_to_bf16(v);
        break;
      case DType::kF64:
        static_cast<double*>(y.data)[i] = v;
        break;
      case DType::kI32:
        PG_CHECK(false, "a real-valued op writes an int32 tensor");
        break;
    }
  }
}

void write_ids(Out y, const std::vector<int32_t>& ids) {
  if (!y) return;
  PG_CHECK(!y.accumulate, "ids are overwritten, never added to");
  for (size_t i = 0; i < ids.size(); ++i) y.as<int32_t>()[i] = ids[i];
}

}  // namespace pg::reference
