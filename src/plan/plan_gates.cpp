// <parts>
// Ops of models beyond the base stack: as those of plan_ops.cpp.
#include "src/base/check.h"
#include "src/plan/plan.h"

namespace pg {

Tensor Plan::scale_columns(Tensor x, Tensor a) {
  const int64_t rows = info(x).rows, dim = info(x).cols;
  const Tensor y = make_activation("mix", rows, dim);
  record(OpId::kMix, 0, {x, a}, {write_to(y)}, [=, this](Ops& ops, const RunArgs& args) {
    ops.mix(out(write_to(y), args), rows_in(x, args), in(a), {}, {}, args.rows, dim);
  });
  scale_columns_rule(y, x, a);
  return y;
}

Tensor Plan::swiglu(Tensor gate, Tensor up) {
  const int64_t rows = info(gate).rows, dim = info(gate).cols;
  PG_CHECK(info(up).rows == rows && info(up).cols == dim, "swiglu: gate and up differ in shape");
  const Tensor y = make_activation("swiglu", rows, dim);
  record(OpId::kSwiglu, 0, {gate, up}, {write_to(y)}, [=, this](Ops& ops, const RunArgs& args) {
    ops.swiglu(out(write_to(y), args), rows_in(gate, args), rows_in(up, args), args.rows, dim);
  });
  swiglu_rule(y, gate, up);
  return y;
}

}  // namespace pg
// </parts>
