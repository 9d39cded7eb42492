// The sums of a WeightUse: what a weight's input looks like and how much the loss cares about its
// output. Both come from ops that the gradients need anyway: a gram is a weight gradient with
// dy = x, a sum of squares is the gradient of mix's factor with x = dy.
#include "src/plan/op_flops.h"
#include "src/plan/plan.h"

namespace pg {

void Plan::add_weight_uses(Tensor w, Tensor gram, Tensor table_ids) {
  if (table_ids) keep(table_ids);
  int64_t first_row = 0;
  for (const int weight : info(w).weights) {
    weight_uses_.push_back({weight, gram, {}, table_ids, first_row});
    first_row += weights_->spec(weight).rows;
  }
}

void Plan::set_squares(size_t first_use, Tensor w, Tensor squares) {
  for (size_t i = 0; i < info(w).weights.size(); ++i) weight_uses_[first_use + i].squares = squares;
}

Tensor Plan::record_input_gram(Tensor x) {
  for (const auto& [input, gram] : input_grams_) {
    if (input == x.id) return gram;
  }
  return input_grams_.emplace_back(x.id, record_gram(x)).second;
}

Tensor Plan::record_gram(Tensor x) {
  const int64_t rows = info(x).rows, dim = info(x).cols;
  const OutRef gram = make_sum(info(x).name + ".gram", dim, dim);
  record(OpId::kLinearDw, product_flops(rows, dim, dim), {x}, {gram},
         [=, this](Ops& ops, const RunArgs& args) {
           ops.linear_dw(out(gram, args), in(x), in(x), rows, dim, dim);
         });
  return Tensor{gram.id};
}

Tensor Plan::record_column_squares(Tensor x) {
  const int64_t rows = info(x).rows, dim = info(x).cols;
  const OutRef squares = make_sum(info(x).name + ".squares", 1, dim);
  record(OpId::kMixBackward, 0, {x}, {squares}, [=, this](Ops& ops, const RunArgs& args) {
    ops.mix_backward({}, {}, out(squares, args), {}, in(x), in(x), {}, {}, {}, rows, dim);
  });
  return Tensor{squares.id};
}

}  // namespace pg
