// <parts>
// The gradient rules of plan_gates.cpp's ops.
#include "src/plan/plan.h"

namespace pg {

void Plan::scale_columns_rule(Tensor y, Tensor x, Tensor a) {
  const int64_t rows = info(x).rows, dim = info(x).cols;
  add_rule(y, [=, this] {
    const Tensor dy = gradient(y);
    const OutRef dx = contribute(x), da = contribute(a);
    record(OpId::kMixBackward, 0, {dy, x, a}, {dx, da}, [=, this](Ops& ops, const RunArgs& args) {
      ops.mix_backward(out(dx, args), {}, out(da, args), {}, in(dy), in(x), in(a), {}, {}, rows,
                       dim);
    });
  });
}

void Plan::swiglu_rule(Tensor y, Tensor gate, Tensor up) {
  const int64_t rows = info(gate).rows, dim = info(gate).cols;
  add_rule(y, [=, this] {
    const Tensor dy = gradient(y);
    const OutRef dgate = contribute(gate), dup = contribute(up);
    record(OpId::kSwigluBackward, 0, {dy, gate, up}, {dgate, dup},
           [=, this](Ops& ops, const RunArgs& args) {
             ops.swiglu_backward(out(dgate, args), out(dup, args), in(dy), in(gate), in(up), rows,
                                 dim);
           });
  });
}

}  // namespace pg
// </parts>
