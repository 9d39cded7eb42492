// The loss, which gradients start from, and the mean that is reported of it.
#include "src/base/check.h"
#include "src/plan/plan.h"

namespace pg {

LossTensors Plan::softcap_xent(Tensor logits, Tensor targets, Tensor weights, const Softcap& cap,
                               Tensor row_weights) {
  const int64_t rows = info(logits).rows, vocab = info(logits).cols, n = info(targets).cols;
  PG_CHECK(info(targets).rows == rows && info(weights).cols == n, "softcap_xent: wrong shape");
  Softcap form = cap;
  // <parts>
  if (row_weights) form.row_weights = in(row_weights);  // a constant: it lies where it will lie
  const Tensor sides = logit_sides_;
  if (sides) form.sides = in(sides);
  // </parts>
  const LossTensors y{make_f32("softcap_xent", rows, 1), make_f32("softcap_xent.lse", rows, 1)};
  keep(y.loss);
  record(OpId::kSoftcapXent, 0,
         {logits, targets, weights,
          // <parts>
          sides,
          // </parts>
          row_weights},
         {write_to(y.loss), write_to(y.lse)}, [=, this](Ops& ops, const RunArgs& args) {
           ops.softcap_xent(out(write_to(y.loss), args), out(write_to(y.lse), args), in(logits),
                            in(targets), in(weights), form, rows, vocab, n);
         });
  add_rule(y.loss, [=, this] {
    const OutRef dlogits = contribute(logits);
    record(OpId::kSoftcapXentBackward, 0,
           {logits, y.lse, targets, weights,
            // <parts>
            sides,
            // </parts>
            row_weights, loss_gradient_},
           {dlogits}, [=, this](Ops& ops, const RunArgs& args) {
             ops.softcap_xent_backward(out(dlogits, args), in(logits), in(y.lse), in(targets),
                                       in(weights), in(loss_gradient_), form, rows, vocab, n);
           });
    // <parts>
    const OutRef dsides = contribute(sides);
    if (dsides.id < 0) return;
    record(OpId::kSoftcapXentSidesBackward, 0,
           {logits, y.lse, targets, weights, sides, row_weights, loss_gradient_}, {dsides},
           [=, this](Ops& ops, const RunArgs& args) {
             ops.softcap_xent_sides_backward(out(dsides, args), in(logits), in(y.lse), in(targets),
                                             in(weights), in(loss_gradient_), form, rows, vocab, n);
           });
    // </parts>
  });
  return y;
}

// A sum over rows and, with `accumulate`, over runs: it lives outside the arena.
Plan::OutRef Plan::make_sum(std::string name, int64_t rows, int64_t cols, DType dtype) {
  TensorInfo t;
  t.name = std::move(name);
  t.rows = rows;
  t.cols = cols;
  t.dtype = dtype;
  t.place = Place::kOwned;
  owned_.emplace_back(weights_->device(), t.bytes());
  t.data = owned_.back().data();
  return {add_tensor(std::move(t)).id, /*adds=*/false, /*adds_across_runs=*/true};
}

Tensor Plan::mean(Tensor x) {
  const int64_t count = info(x).elements();
  const OutRef sum = make_sum(info(x).name + ".mean", 1, 1, DType::kF64);
  record(OpId::kSum, 0, {x}, {sum}, [=, this](Ops& ops, const RunArgs& args) {
    ops.sum(out(sum, args), in(x), 1.0 / static_cast<double>(count), count);
  });
  return Tensor{sum.id};
}

const double* Plan::device_mean(Tensor t) const {
  PG_CHECK(info(t).dtype == DType::kF64, "a mean is f64");
  return static_cast<const double*>(info(t).data);
}

}  // namespace pg
