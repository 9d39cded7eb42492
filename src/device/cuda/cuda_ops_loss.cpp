// The loss, what a score reads, and sums of fixed order.
#include "kernels/column_sums.h"
#include "kernels/log_probs.h"
#include "kernels/reduce.h"
#include "kernels/softcap_xent.h"
#include "src/device/cuda/cuda_dispatch.h"
#include "src/device/cuda/cuda_ops.h"

namespace pg {
namespace {

static_assert(kernels::kSummedPiece == kSumPiece);

kernels::XentForm form_of(const Softcap& cap) {
  return {cap.cap,
          cap.shift,
          cap.width,
          cap.z_loss,
          optional_as<float>(cap.row_weights),
          optional_as<float>(cap.sides)};
}

enum Slot : size_t { kPieces, kTree };

}  // namespace

void CudaOps::softcap_xent(Out loss, Out lse, In logits, In targets, In weights, const Softcap& cap,
                           int64_t rows, int64_t vocab, int64_t n) {
  kernels::softcap_xent(dest<float>(loss), dest<float>(lse), logits.as<float>(),
                        targets.as<int32_t>(), weights.as<float>(), form_of(cap), rows, vocab, n,
                        stream());
}

void CudaOps::softcap_xent_backward(Out dlogits, In logits, In lse, In targets, In weights,
                                    In dloss, const Softcap& cap, int64_t rows, int64_t vocab,
                                    int64_t n) {
  with_type(dlogits.dtype, [&]<class T>(T) {
    kernels::softcap_xent_backward<T>(dest<T>(dlogits), logits.as<float>(), lse.as<float>(),
                                      targets.as<int32_t>(), weights.as<float>(), dloss.as<float>(),
                                      form_of(cap), rows, vocab, n, stream());
  });
}

void CudaOps::softcap_xent_sides_backward(Out dsides, In logits, In lse, In targets, In weights,
                                          In dloss, const Softcap& cap, int64_t rows, int64_t vocab,
                                          int64_t n) {
  auto* const partial = scratch_.of<float>(kPieces, 2 * kernels::count_row_chunks(rows));
  kernels::softcap_xent_sides_backward(
      dest<float>(dsides), logits.as<float>(), lse.as<float>(), targets.as<int32_t>(),
      weights.as<float>(), dloss.as<float>(), form_of(cap), rows, vocab, n, partial, stream());
}

void CudaOps::softcap_log_probs(Out log_probs, Out entropy, In logits, const Softcap& cap,
                                int64_t rows, int64_t vocab) {
  kernels::softcap_log_probs(dest<float>(log_probs), dest<float>(entropy), logits.as<float>(),
                             cap.cap, cap.shift, cap.width, optional_as<float>(cap.sides), rows,
                             vocab, stream());
}

void CudaOps::sum(Out sum, In x, double scale, int64_t count) {
  const int64_t pieces = kernels::count_summed_pieces(count);
  auto* const sums = scratch_.of<double>(kPieces, pieces);
  auto* const tree = scratch_.of<double>(kTree, kernels::sum_tree_scratch(pieces));
  kernels::sum_pieces_of_values(sums, x.as<float>(), {1, 1, count, count}, pieces, stream());
  kernels::sum_tree(dest<double>(sum), sums, scale, tree, pieces, stream());
}

void CudaOps::sum_squares(Out sums, In x, const MatrixBatch& shape, int64_t sums_stride) {
  kernels::sum_pieces_of_squares(sums.as<double>(), x.as<float>(), matrices_of(shape), sums_stride,
                                 stream());
}

void CudaOps::sum_pieces(Out sum, In pieces, int64_t count) {
  auto* const tree = scratch_.of<double>(kTree, kernels::sum_tree_scratch(count));
  kernels::sum_tree(dest<double>(sum), pieces.as<double>(), 1.0, tree, count, stream());
}

void CudaOps::clip_coefficient(Out coefficient, In squares, float max_norm) {
  kernels::clip_coefficient(dest<float>(coefficient), squares.as<double>(), max_norm, stream());
}

}  // namespace pg
