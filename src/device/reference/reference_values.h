// How the reference reads and writes tensors: whole tensors become vectors of doubles, whatever
// their storage, and results are rounded to storage once. The ops in between are then plain
// formulas.
#pragma once
#include <cstdint>
#include <vector>

#include "src/device/tensor_view.h"

namespace pg::reference {

using Values = std::vector<double>;

// The double nearest to v among bf16 values, as bf16: one rounding, not double -> float -> bf16,
// which rounds twice.
bf16 round_to_bf16(double v);

// x as doubles; empty when x is absent. Of a dense tensor, and of the rows of a view.
Values read(In x, int64_t count);
Values read_rows(In x, int64_t rows, int64_t cols);
// The present content of a tensor that an op updates in place.
Values read(Out y, int64_t count);
Values read_or_ones(In x, int64_t count);
// x[0], or 1 when x is absent.
double read_scalar_or_one(In x);
std::vector<int32_t> read_ids(In ids, int64_t count);

// y = values or y += values (the sum in double, rounded once). Does nothing when y is absent.
void write(Out y, const Values& values);
void write_rows(Out y, const Values& values, int64_t cols);
// What storage in this type leaves of the values.
Values rounded_to(DType dtype, const Values& values);
void write_ids(Out y, const std::vector<int32_t>& ids);

}  // namespace pg::reference
