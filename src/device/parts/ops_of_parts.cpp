// Work in parts - products of parts of the rows, batches of matrices - for devices that have no
// quicker way: one after another.
#include <span>
#include <type_traits>

#include "src/device/ops.h"

namespace pg {
namespace {

// The rows of a tensor [rows, cols] from `first` on.
template <class Tensor>
Tensor rows_from(Tensor t, int64_t first, int64_t cols) {
  const int64_t bytes = first * row_stride(t, cols) * static_cast<int64_t>(dtype_bytes(t.dtype));
  if constexpr (std::is_same_v<Tensor, In>) {
    t.data = static_cast<const uint8_t*>(t.data) + bytes;
  } else {
    t.data = static_cast<uint8_t*>(t.data) + bytes;
  }
  return t;
}

}  // namespace

void Ops::linear_of_parts(Out y, In x, std::span<const In> ws, int64_t rows, int64_t in,
                          int64_t out) {
  const int64_t count = rows / std::ssize(ws);
  for (int64_t i = 0; i < std::ssize(ws); ++i) {
    linear(rows_from(y, i * count, out), rows_from(x, i * count, in), ws[static_cast<size_t>(i)],
           {}, count, in, out);
  }
}

void Ops::linear_dx_of_parts(Out dx, In dy, std::span<const In> ws, int64_t rows, int64_t in,
                             int64_t out) {
  const int64_t count = rows / std::ssize(ws);
  for (int64_t i = 0; i < std::ssize(ws); ++i) {
    linear_dx(rows_from(dx, i * count, in), rows_from(dy, i * count, out),
              ws[static_cast<size_t>(i)], count, in, out);
  }
}

void Ops::linear_dw_of_parts(std::span<const Out> dws, In dy, In x, int64_t rows, int64_t in,
                             int64_t out) {
  const int64_t count = rows / std::ssize(dws);
  for (int64_t i = 0; i < std::ssize(dws); ++i) {
    linear_dw(dws[static_cast<size_t>(i)], rows_from(dy, i * count, out),
              rows_from(x, i * count, in), count, in, out);
  }
}

void Ops::newton_schulz_of_batches(std::span<const MatricesOut> us,
                                   std::span<const NewtonSchulzCoefficients> steps,
                                   NewtonSchulzStart start) {
  for (const MatricesOut& u : us) newton_schulz(u.data, steps, start, u.shape);
}

}  // namespace pg
