// One pass: threads go down their columns and keep the neighbouring row in registers. Forward in runs
// of eight rows, all loaded before the first is used; backward in the chunks of column_sums.h, so that
// the sums of dgate are made on the way.
#include "kernels/smear.h"

#include "kernels/column_sums.h"
#include "kernels/dialect.h"
#include "kernels/row_tiles.h"
#include "kernels/sigmoid.h"

namespace pg::kernels {
inline namespace smear_kernels {

constexpr int kRunRows = 8;
constexpr int kStepRows = 4;  // backward: of two tensors at a time

template <int kPack, bool kVector>
__device__ __forceinline__ void load_gates(float (&gates)[kPack], const float* gate, int column,
                                           int dim) {
  unpack(load_pack<kPack, kVector>(gate, column, dim), gates);
  PG_UNROLL
  for (int i = 0; i < kPack; ++i) gates[i] = sigmoid(gates[i]);
}

template <class T, bool kVector>
__global__ void __launch_bounds__(kBlockThreads)
    smear_kernel(Dest<T> y, const T* __restrict__ x, const float* __restrict__ gate, int64_t rows,
                 int64_t tokens, int dim, int64_t first, int column_bits) {
  constexpr int kPack = kPackOf<T>;
  using Values = Pack<T, kPack>;
  const TilePlace place = place_in_tile<kPack>(column_bits);
  const int64_t begin = place.run * kRunRows;
  if (begin >= rows || place.column >= dim) return;
  const auto load = [&](int64_t row) {
    return load_pack<kPack, kVector>(x + row * dim, place.column, dim);
  };
  int64_t t = (first + begin) % tokens;
  Values values[kRunRows + 1];  // from the row before the run on
  values[0] = t > 0 ? load(begin - 1) : Values{};
  PG_UNROLL
  for (int i = 0; i < kRunRows; ++i) values[i + 1] = begin + i < rows ? load(begin + i) : Values{};
  float g[kPack];
  load_gates<kPack, kVector>(g, gate, place.column, dim);
  PG_UNROLL
  for (int i = 0; i < kRunRows; ++i) {
    if (begin + i >= rows) break;
    const Values before = t > 0 ? values[i] : Values{};
    float out[kPack];
    PG_UNROLL
    for (int j = 0; j < kPack; ++j) {
      out[j] = (1.0f - g[j]) * static_cast<float>(values[i + 1].v[j]) +
               g[j] * static_cast<float>(before.v[j]);
    }
    store_pack<kVector>(y.data + (begin + i) * dim, out, place.column, dim, y.accumulate);
    t = t + 1 < tokens ? t + 1 : 0;
  }
}

// A run is a chunk of rows; `partial` null where dgate is not asked for.
template <class T, bool kVector>
__global__ void __launch_bounds__(kBlockThreads)
    smear_backward_kernel(Dest<T> dx, float* __restrict__ partial, const T* __restrict__ dy,
                          const T* __restrict__ x, const float* __restrict__ gate, int64_t rows,
                          int64_t tokens, int dim, int64_t chunk_rows, int column_bits) {
  constexpr int kPack = kPackOf<T>;
  using Values = Pack<T, kPack>;
  const TilePlace place = place_in_tile<kPack>(column_bits);
  const int64_t begin = place.run * chunk_rows;
  if (begin >= rows || place.column >= dim) return;
  const int64_t end = begin + chunk_rows < rows ? begin + chunk_rows : rows;
  const auto load = [&](const T* from, int64_t row) {
    return load_pack<kPack, kVector>(from + row * dim, place.column, dim);
  };
  const bool sums_gate = partial != nullptr;
  float g[kPack], sum[kPack] = {};
  load_gates<kPack, kVector>(g, gate, place.column, dim);
  int64_t t = begin % tokens;
  Values own_dy = load(dy, begin);
  Values before = sums_gate && t > 0 ? load(x, begin - 1) : Values{};
  for (int64_t step = begin; step < end; step += kStepRows) {
    Values next_dy[kStepRows], own[kStepRows];
    PG_UNROLL
    for (int i = 0; i < kStepRows; ++i) {
      const int64_t row = step + i;
      next_dy[i] = row < end && row + 1 < rows ? load(dy, row + 1) : Values{};
      own[i] = sums_gate && row < end ? load(x, row) : Values{};
    }
    PG_UNROLL
    for (int i = 0; i < kStepRows; ++i) {
      if (step + i >= end) break;
      if (t == 0) before = Values{};
      const Values next = t + 1 < tokens ? next_dy[i] : Values{};
      float out[kPack];
      PG_UNROLL
      for (int j = 0; j < kPack; ++j) {
        const float gradient = static_cast<float>(own_dy.v[j]);
        out[j] = (1.0f - g[j]) * gradient + g[j] * static_cast<float>(next.v[j]);
        sum[j] += gradient * (static_cast<float>(before.v[j]) - static_cast<float>(own[i].v[j]));
      }
      if (dx.data != nullptr) {
        store_pack<kVector>(dx.data + (step + i) * dim, out, place.column, dim, dx.accumulate);
      }
      before = own[i];
      own_dy = next_dy[i];
      t = t + 1 < tokens ? t + 1 : 0;
    }
  }
  if (!sums_gate) return;
  PG_UNROLL
  for (int j = 0; j < kPack; ++j) sum[j] *= g[j] * (1.0f - g[j]);
  store_pack<kVector>(partial + place.run * dim, sum, place.column, dim, false);
}

}  // namespace smear_kernels

template <class T>
void smear(Dest<T> y, const T* x, const float* gate, int64_t rows, int64_t tokens, int64_t dim,
           int64_t first, Stream stream) {
  if (rows == 0 || y.data == nullptr) return;
  constexpr int kPack = kPackOf<T>;
  const bool vector = has_vector_rows<kPack>(x, dim) && has_vector_rows<kPack>(gate, dim) &&
                      has_vector_rows<kPack>(y.data, dim);
  with_vector(vector, [&]<bool kVector>() {
    launch_over_runs<kPack>(&smear_kernel<T, kVector>, (rows + kRunRows - 1) / kRunRows, dim,
                            stream, y, x, gate, rows, tokens, dim, first);
  });
}

template <class T>
void smear_backward(Dest<T> dx, Dest<float> dgate, const T* dy, const T* x, const float* gate,
                    int64_t rows, int64_t tokens, int64_t dim, float* partial, Stream stream) {
  constexpr int kPack = kPackOf<T>;
  const int64_t chunks = count_row_chunks(rows);
  float* const sums = dgate.data == nullptr ? nullptr : partial;
  if (rows > 0 && (dx.data != nullptr || sums != nullptr)) {
    const bool vector = has_vector_rows<kPack>(dy, dim) && has_vector_rows<kPack>(x, dim) &&
                        has_vector_rows<kPack>(gate, dim) && has_vector_rows<kPack>(sums, dim) &&
                        has_vector_rows<kPack>(dx.data, dim);
    with_vector(vector, [&]<bool kVector>() {
      launch_over_runs<kPack>(&smear_backward_kernel<T, kVector>, chunks, dim, stream, dx, sums, dy,
                              x, gate, rows, tokens, dim, rows_per_chunk(rows));
    });
  }
  sum_chunks(dgate, partial, nullptr, chunks, dim, stream);
}

template void smear<float>(Dest<float>, const float*, const float*, int64_t, int64_t, int64_t,
                           int64_t, Stream);
template void smear<bf16>(Dest<bf16>, const bf16*, const float*, int64_t, int64_t, int64_t, int64_t,
                          Stream);
template void smear_backward<float>(Dest<float>, Dest<float>, const float*, const float*,
                                    const float*, int64_t, int64_t, int64_t, float*, Stream);
template void smear_backward<bf16>(Dest<bf16>, Dest<float>, const bf16*, const bf16*, const float*,
                                   int64_t, int64_t, int64_t, float*, Stream);

}  // namespace pg::kernels
