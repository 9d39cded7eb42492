// The elementwise ops and their gradients.
#include "kernels/add_scaled.h"
#include "kernels/blend.h"
#include "kernels/gated_mix.h"
#include "kernels/leaky_relu2.h"
#include "kernels/mix.h"
#include "kernels/swiglu.h"
#include "src/device/cuda/cuda_dispatch.h"
#include "src/device/cuda/cuda_ops.h"

namespace pg {
namespace {

template <class T>
kernels::RowsIn<T> rows_in(In in, int64_t dim) {
  return {optional_as<T>(in), row_stride(in, dim)};
}
template <class T>
kernels::RowsOut<T> rows_out(Out out, int64_t dim) {
  return {out.as<T>(), row_stride(out, dim), out.accumulate};
}

}  // namespace

void CudaOps::add_scaled(Out y, In x, In z, In s1, In s2, int64_t rows, int64_t dim) {
  with_type(x.dtype, [&]<class T>(T) {
    kernels::add_scaled(rows_out<T>(y, dim), rows_in<T>(x, dim), rows_in<T>(z, dim), s1.as<float>(),
                        optional_as<float>(s2), rows, dim, stream());
  });
}

void CudaOps::add_scaled_backward(Out dx, Out dz, Out ds1, Out ds2, In dy, In z, In s1, In s2,
                                  int64_t rows, int64_t dim) {
  with_type(dy.dtype, [&]<class T>(T) {
    kernels::add_scaled_backward(
        rows_out<T>(dx, dim), rows_out<T>(dz, dim), dest<float>(ds1), dest<float>(ds2),
        rows_in<T>(dy, dim), rows_in<T>(z, dim), s1.as<float>(), optional_as<float>(s2),
        scratch_.of<float>(0, kernels::total_partials<T>(2, dim)), rows, dim, stream());
  });
}

void CudaOps::mix(Out y, In x, In a, In z, In b, int64_t rows, int64_t dim) {
  with_type(x.dtype, [&]<class T>(T) {
    kernels::mix(rows_out<T>(y, dim), rows_in<T>(x, dim), optional_as<float>(a), rows_in<T>(z, dim),
                 optional_as<float>(b), rows, dim, stream());
  });
}

void CudaOps::mix_backward(Out dx, Out dz, Out da, Out db, In dy, In x, In a, In z, In b,
                           int64_t rows, int64_t dim) {
  with_type(dy.dtype, [&]<class T>(T) {
    kernels::mix_backward(rows_out<T>(dx, dim), rows_out<T>(dz, dim), dest<float>(da),
                          dest<float>(db), rows_in<T>(dy, dim), rows_in<T>(x, dim),
                          optional_as<float>(a), rows_in<T>(z, dim), optional_as<float>(b),
                          scratch_.of<float>(0, kernels::column_partials(2, rows, dim)), rows, dim,
                          stream());
  });
}

void CudaOps::leaky_relu2(Out y, In x, float slope, int64_t count) {
  with_type(x.dtype, [&]<class T>(T) {
    kernels::leaky_relu2(dest<T>(y), x.as<T>(), slope, count, stream());
  });
}

void CudaOps::leaky_relu2_backward(Out dx, In dy, In x, float slope, int64_t count) {
  with_type(x.dtype, [&]<class T>(T) {
    kernels::leaky_relu2_backward(dest<T>(dx), dy.as<T>(), x.as<T>(), slope, count, stream());
  });
}

void CudaOps::swiglu(Out y, In gate, In up, int64_t rows, int64_t dim) {
  with_type(gate.dtype, [&]<class T>(T) {
    kernels::swiglu(rows_out<T>(y, dim), rows_in<T>(gate, dim), rows_in<T>(up, dim), rows, dim,
                    stream());
  });
}

void CudaOps::swiglu_backward(Out dgate, Out dup, In dy, In gate, In up, int64_t rows,
                              int64_t dim) {
  with_type(dy.dtype, [&]<class T>(T) {
    kernels::swiglu_backward(rows_out<T>(dgate, dim), rows_out<T>(dup, dim), rows_in<T>(dy, dim),
                             rows_in<T>(gate, dim), rows_in<T>(up, dim), rows, dim, stream());
  });
}

void CudaOps::gated_mix(Out y, In x, In z, In w, In gate, int64_t rows, int64_t dim) {
  with_type(x.dtype, [&]<class T>(T) {
    kernels::gated_mix(rows_out<T>(y, dim), rows_in<T>(x, dim), rows_in<T>(z, dim), w.as<float>(),
                       gate.as<float>(), rows, dim, stream());
  });
}

void CudaOps::gated_mix_backward(Out dx, Out dz, Out dw, Out dgate, In dy, In x, In z, In w,
                                 In gate, int64_t rows, int64_t dim) {
  with_type(dy.dtype, [&]<class T>(T) {
    kernels::gated_mix_backward(rows_out<T>(dx, dim), rows_out<T>(dz, dim), dest<float>(dw),
                                dest<float>(dgate), rows_in<T>(dy, dim), rows_in<T>(x, dim),
                                rows_in<T>(z, dim), w.as<float>(), gate.as<float>(),
                                scratch_.of<float>(0, kernels::column_partials(2, rows, dim)), rows,
                                dim, stream());
  });
}

void CudaOps::blend(Out y, In x, In a, In z, In b, bool sigmoid, int64_t rows, int64_t dim) {
  with_type(x.dtype, [&]<class T>(T) {
    kernels::blend(rows_out<T>(y, dim), rows_in<T>(x, dim), optional_as<float>(a),
                   rows_in<T>(z, dim), b.as<float>(), sigmoid, rows, dim, stream());
  });
}

void CudaOps::blend_backward(Out dx, Out dz, Out da, Out db, In dy, In x, In a, In z, In b,
                             bool sigmoid, int64_t rows, int64_t dim) {
  with_type(dy.dtype, [&]<class T>(T) {
    kernels::blend_backward(rows_out<T>(dx, dim), rows_out<T>(dz, dim), dest<float>(da),
                            dest<float>(db), rows_in<T>(dy, dim), rows_in<T>(x, dim),
                            optional_as<float>(a), rows_in<T>(z, dim), b.as<float>(), sigmoid,
                            scratch_.of<float>(0, kernels::total_partials<T>(2, dim)), rows, dim,
                            stream());
  });
}

}  // namespace pg
