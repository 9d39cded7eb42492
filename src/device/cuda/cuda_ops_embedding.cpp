// Embeddings, and ops that move or mix whole rows: bags, memory rows, smearing.
#include "kernels/bags.h"
#include "kernels/bigram_hash.h"
#include "kernels/column_sums.h"
#include "kernels/embedding.h"
#include "kernels/prepend_rows.h"
#include "kernels/smear.h"
#include "kernels/token_smear.h"
#include "src/device/cuda/cuda_dispatch.h"
#include "src/device/cuda/cuda_ops.h"

namespace pg {
namespace {

kernels::PrependedRows prepended_rows(const PrependShape& s) {
  return {s.batch, s.memory, s.tokens, s.dim};
}
kernels::SmearedTokens smeared_tokens(const TokenSmearShape& s) {
  return {s.rows, s.tokens, s.dim, s.width, s.bos, s.first};
}

}  // namespace

void CudaOps::embed(Out y, In ids, In table, int64_t rows, int64_t dim) {
  with_type(table.dtype, [&]<class T>(T) {
    kernels::embed<T>(dest<T>(y), ids.as<int32_t>(), table.as<T>(), rows, dim, stream());
  });
}

void CudaOps::embed_backward(Out dtable, In ids, In dy, int64_t rows, int64_t vocab, int64_t dim) {
  constexpr int64_t kMost = int64_t{1} << 31;
  PG_CHECK(rows < kMost && vocab < kMost, "rows and ids of a table are counted in 31 bits");
  auto* const id_work = scratch_.of<int32_t>(0, kernels::count_scatter_ids(rows, vocab));
  auto* const sum_work = scratch_.of<float>(1, kernels::count_scatter_sums(rows, dim));
  with_type(dy.dtype, [&]<class T>(T) {
    if (dtable.dtype == DType::kF32) {
      kernels::embed_backward<float, T>(dest<float>(dtable), ids.as<int32_t>(), dy.as<T>(), rows,
                                        vocab, dim, id_work, sum_work, stream());
    } else {
      kernels::embed_backward<T, T>(dest<T>(dtable), ids.as<int32_t>(), dy.as<T>(), rows, vocab,
                                    dim, id_work, sum_work, stream());
    }
  });
}

void CudaOps::bigram_hash(Out hashed, In ids, int64_t rows, int64_t tokens, int64_t buckets,
                          int64_t first, bool trigram) {
  PG_CHECK(buckets >= 2, "bigram_hash needs a bucket for row starts and one for the rest");
  kernels::bigram_hash(hashed.as<int32_t>(), ids.as<int32_t>(), rows, tokens, buckets, first,
                       trigram, stream());
}

void CudaOps::mean_bags(Out y, In x, int64_t rows, int64_t bag, int64_t dim) {
  with_type(x.dtype, [&]<class T>(T) {
    kernels::mean_bags<T>(dest<T>(y), x.as<T>(), rows, bag, dim, stream());
  });
}

void CudaOps::mean_bags_backward(Out dx, In dy, int64_t rows, int64_t bag, int64_t dim) {
  with_type(dy.dtype, [&]<class T>(T) {
    kernels::mean_bags_backward<T>(dest<T>(dx), dy.as<T>(), rows, bag, dim, stream());
  });
}

void CudaOps::prepend_rows(Out y, In m, In x, const PrependShape& shape) {
  with_type(x.dtype, [&]<class T>(T) {
    kernels::prepend_rows<T>(dest<T>(y), optional_as<T>(m), x.as<T>(), prepended_rows(shape),
                             shape.first, shape.rows, stream());
  });
}

void CudaOps::prepend_rows_backward(Out dx, Out dm, In dy, const PrependShape& shape) {
  with_type(dy.dtype, [&]<class T>(T) {
    kernels::prepend_rows_backward<T>(dest<T>(dx), dest<T>(dm), dy.as<T>(), prepended_rows(shape),
                                      stream());
  });
}

void CudaOps::smear(Out y, In x, In gate, int64_t rows, int64_t tokens, int64_t dim,
                    int64_t first) {
  with_type(x.dtype, [&]<class T>(T) {
    kernels::smear<T>(dest<T>(y), x.as<T>(), gate.as<float>(), rows, tokens, dim, first, stream());
  });
}

void CudaOps::smear_backward(Out dx, Out dgate, In dy, In x, In gate, int64_t rows, int64_t tokens,
                             int64_t dim) {
  auto* const partial = scratch_.of<float>(0, kernels::count_row_chunks(rows) * dim);
  with_type(dy.dtype, [&]<class T>(T) {
    kernels::smear_backward<T>(dest<T>(dx), dest<float>(dgate), dy.as<T>(), optional_as<T>(x),
                               gate.as<float>(), rows, tokens, dim, partial, stream());
  });
}

void CudaOps::token_smear(Out y, In x, In ids, In w, In scale, const TokenSmearShape& shape) {
  with_type(x.dtype, [&]<class T>(T) {
    kernels::token_smear<T>(dest<T>(y), x.as<T>(), ids.as<int32_t>(), w.as<float>(),
                            scale.as<float>(), smeared_tokens(shape), stream());
  });
}

void CudaOps::token_smear_backward(Out dx, Out dw, Out dscale, In dy, In x, In ids, In w, In scale,
                                   const TokenSmearShape& shape) {
  const kernels::SmearedTokens tokens = smeared_tokens(shape);
  auto* const partial = scratch_.of<float>(0, kernels::count_token_smear_sums(tokens));
  with_type(dy.dtype, [&]<class T>(T) {
    kernels::token_smear_backward<T>(dest<T>(dx), dest<float>(dw), dest<float>(dscale), dy.as<T>(),
                                     x.as<T>(), ids.as<int32_t>(), w.as<float>(), scale.as<float>(),
                                     tokens, partial, stream());
  });
}

}  // namespace pg
