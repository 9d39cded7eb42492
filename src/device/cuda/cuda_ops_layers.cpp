// Mixes of what several layers gave.
#include "kernels/column_sums.h"
#include "kernels/mix_layers.h"
#include "src/device/cuda/cuda_dispatch.h"
#include "src/device/cuda/cuda_ops.h"

namespace pg {
namespace {

kernels::MixedLayers mixed_layers(size_t count, const LayerMixShape& s) {
  return {.rows = s.rows,
          .dim = s.dim,
          .count = static_cast<int>(count),
          .hidden = static_cast<int>(s.hidden)};
}

template <class T>
kernels::LayerInputs<T> layer_inputs(std::span<const In> xs) {
  static_assert(kernels::kMostLayers == kMaxMixedLayers);
  kernels::LayerInputs<T> layers{};
  for (size_t j = 0; j < xs.size(); ++j) layers.x[j] = xs[j].as<T>();
  return layers;
}

}  // namespace

void CudaOps::mix_layers(Out y, std::span<const In> xs, In h, In w, In a,
                         const LayerMixShape& shape) {
  with_type(h.dtype, [&]<class T>(T) {
    kernels::mix_layers<T>(dest<T>(y), layer_inputs<T>(xs), h.as<T>(), w.as<float>(), a.as<float>(),
                           mixed_layers(xs.size(), shape), stream());
  });
}

void CudaOps::mix_layers_backward(std::span<const Out> dxs, Out dh, Out dw, Out da, In dy,
                                  std::span<const In> xs, In h, In w, In a,
                                  const LayerMixShape& shape) {
  const kernels::MixedLayers layers = mixed_layers(xs.size(), shape);
  auto* const work = scratch_.of<float>(0, kernels::count_mix_layers_floats(layers));
  with_type(dy.dtype, [&]<class T>(T) {
    kernels::LayerGradients<T> gradients{};
    for (size_t j = 0; j < dxs.size(); ++j) gradients.dx[j] = dest<T>(dxs[j]);
    kernels::mix_layers_backward<T>(gradients, dest<T>(dh), dest<float>(dw), dest<float>(da),
                                    dy.as<T>(), layer_inputs<T>(xs), h.as<T>(), w.as<float>(),
                                    a.as<float>(), layers, work, stream());
  });
}

}  // namespace pg
