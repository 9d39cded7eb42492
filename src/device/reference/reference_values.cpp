// Storage conversion of the reference ops; see reference_values.h.
#include "src/device/reference/reference_values.h"

#include <bit>
#include <cmath>
#include <limits>

namespace pg::reference {
namespace {

double load(const void* data, DType dtype, int64_t i) {
  switch (dtype) {
    case DType::kF32:
      return static_cast<const float*>(data)[i];
    case DType::kBF16:
      return static_cast<float>(static_cast<const bf16*>(data)[i]);
    case DType::kF64:
      return static_cast<const double*>(data)[i];
    case DType::kI32:
      return static_cast<const int32_t*>(data)[i];
  }
  return 0.0;
}

void store(void* data, DType dtype, int64_t i, double v) {
  switch (dtype) {
    case DType::kF32:
      static_cast<float*>(data)[i] = static_cast<float>(v);
      break;
    case DType::kBF16:
      static_cast<bf16*>(data)[i] = round_to_bf16(v);
      break;
    case DType::kF64:
      static_cast<double*>(data)[i] = v;
      break;
    case DType::kI32:
      PG_CHECK(false, "a real-valued op writes an int32 tensor");
      break;
  }
}

template <class Tensor>
Values read_dense(const Tensor& x, int64_t count) {
  PG_CHECK(x.stride == 0, "an operand that must be dense is a view");
  Values values(x ? static_cast<size_t>(count) : 0);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = load(x.data, x.dtype, static_cast<int64_t>(i));
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

Values read(In x, int64_t count) { return read_dense(x, count); }
Values read(Out y, int64_t count) { return read_dense(y, count); }

Values read_rows(In x, int64_t rows, int64_t cols) {
  Values values;
  for (int64_t r = 0; x && r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) {
      values.push_back(load(x.data, x.dtype, r * row_stride(x, cols) + c));
    }
  }
  return values;
}

Values read_or_ones(In x, int64_t count) {
  return x ? read(x, count) : Values(static_cast<size_t>(count), 1.0);
}

double read_scalar_or_one(In x) { return read_or_ones(x, 1)[0]; }

std::vector<int32_t> read_ids(In ids, int64_t count) {
  const int32_t* data = ids.as<int32_t>();
  return std::vector<int32_t>(data, data + count);
}

void write(Out y, const Values& values) {
  PG_CHECK(y.stride == 0, "an operand that must be dense is a view");
  write_rows(y, values, static_cast<int64_t>(values.size()));
}

void write_rows(Out y, const Values& values, int64_t cols) {
  if (!y) return;
  for (size_t i = 0; i < values.size(); ++i) {
    const int64_t row = static_cast<int64_t>(i) / cols, column = static_cast<int64_t>(i) % cols;
    const int64_t at = row * row_stride(y, cols) + column;
    const double before = y.accumulate ? load(y.data, y.dtype, at) : 0.0;
    store(y.data, y.dtype, at, y.accumulate ? before + values[i] : values[i]);
  }
}

Values rounded_to(DType dtype, const Values& values) {
  Values storage(values.size());  // 8 bytes an element hold any type
  write(Out{storage.data(), dtype}, values);
  return read(In{storage.data(), dtype}, static_cast<int64_t>(values.size()));
}

void write_ids(Out y, const std::vector<int32_t>& ids) {
  if (!y) return;
  PG_CHECK(!y.accumulate, "ids are overwritten, never added to");
  for (size_t i = 0; i < ids.size(); ++i) y.as<int32_t>()[i] = ids[i];
}

}  // namespace pg::reference
