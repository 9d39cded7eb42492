// Translates ops into launches: picks the launcher of the activation type, nothing else.
#include "src/device/simt/simt_ops.h"

#include "kernels/rmsnorm.h"
#include "kernels/softcap_xent.h"

namespace pg {
namespace {

constexpr kernels::Stream kDefaultStream = nullptr;

template <class T>
kernels::Dest<T> dest(Out out) {
  return {out.as<T>(), out.accumulate};
}

// Calls body(T{}) with the activation type.
template <class Body>
void with_activation_type(DType dtype, const Body& body) {
  PG_CHECK(dtype == DType::kF32 || dtype == DType::kBF16, "kernels compute in f32 or bf16");
  if (dtype == DType::kBF16) {
    body(bf16{});
  } else {
    body(float{});
  }
}

kernels::XentForm form_of(const Softcap& cap) {
  return {cap.cap, cap.shift, cap.width, cap.z_loss,
          cap.row_weights ? cap.row_weights.as<float>() : nullptr};
}

}  // namespace

void SimtOps::rmsnorm(Out y, Out rstd, In x, float scale, float eps, int64_t rows, int64_t dim) {
  with_activation_type(x.dtype, [&]<class T>(T) {
    kernels::rmsnorm<T>(dest<T>(y), dest<float>(rstd), x.as<T>(), scale, eps, rows, dim,
                        kDefaultStream);
  });
}

void SimtOps::rmsnorm_backward(Out dx, In dy, In x, In rstd, float scale, int64_t rows,
                               int64_t dim) {
  with_activation_type(x.dtype, [&]<class T>(T) {
    kernels::rmsnorm_backward<T>(dest<T>(dx), dy.as<T>(), x.as<T>(), rstd.as<float>(), scale, rows,
                                 dim, kDefaultStream);
  });
}

void SimtOps::softcap_xent(Out loss, Out lse, In logits, In targets, In weights, const Softcap& cap,
                           int64_t rows, int64_t vocab, int64_t n) {
  kernels::softcap_xent(dest<float>(loss), dest<float>(lse), logits.as<float>(),
                        targets.as<int32_t>(), weights.as<float>(), form_of(cap), rows, vocab, n,
                        kDefaultStream);
}

void SimtOps::softcap_xent_backward(Out dlogits, In logits, In lse, In targets, In weights,
                                    In dloss, const Softcap& cap, int64_t rows, int64_t vocab,
                                    int64_t n) {
  with_activation_type(dlogits.dtype, [&]<class T>(T) {
    kernels::softcap_xent_backward<T>(dest<T>(dlogits), logits.as<float>(), lse.as<float>(),
                                      targets.as<int32_t>(), weights.as<float>(), dloss.as<float>(),
                                      form_of(cap), rows, vocab, n, kDefaultStream);
  });
}

}  // namespace pg
