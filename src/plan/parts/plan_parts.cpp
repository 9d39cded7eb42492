// Products of which each equal part of the rows has a weight of its own.
#include <vector>

#include "src/base/check.h"
#include "src/plan/op_flops.h"
#include "src/plan/plan.h"

namespace pg {
namespace {

std::vector<Tensor> reads_with(Tensor first, std::vector<Tensor> ws) {
  ws.insert(ws.begin(), first);
  return ws;
}

}  // namespace

Tensor Plan::linear_of_parts(Tensor x, const std::vector<Tensor>& ws) {
  const Tensor y = make_activation("linear", info(x).rows, info(ws.front()).rows);
  info(y).needs_gradient = true;
  return record_product_of_parts(write_to(y), x, ws);
}

Tensor Plan::add_linear_of_parts(Tensor y, Tensor u, const std::vector<Tensor>& ws) {
  PG_CHECK(owner(y.id).last_call == owner(y.id).last_write,
           "add_linear_of_parts: y is added to before it is read");
  return record_product_of_parts({y.id, /*adds=*/true, false}, u, ws);
}

Tensor Plan::record_product_of_parts(OutRef sum, Tensor x, const std::vector<Tensor>& ws) {
  const Tensor y{sum.id};
  const int64_t rows = info(x).rows, n_in = info(x).cols, n_out = info(ws.front()).rows;
  PG_CHECK(rows % std::ssize(ws) == 0 && info(y).rows == rows,
           "the rows of a product are equal parts");
  std::vector<In> ws_in;
  for (const Tensor w : ws) {
    PG_CHECK(info(w).cols == n_in && info(w).rows == n_out, "the weights of parts have one shape");
    ws_in.push_back(in(w));
  }
  const double flops = product_flops(rows, n_in, n_out);
  record(OpId::kLinear, flops, reads_with(x, ws), {sum}, [=, this](Ops& ops, const RunArgs& args) {
    ops.linear_of_parts(out(sum, args), in(x), ws_in, rows, n_in, n_out);
  });
  // As add_linear's: recorded behind the rule of what wrote y first, so it runs before that one.
  add_rule(y, [=, this] {
    const Tensor dy = gradient(y);
    std::vector<OutRef> dws;
    for (const Tensor w : ws) {
      if (const OutRef dw = contribute(w); dw.id >= 0) dws.push_back(dw);
    }
    PG_CHECK(dws.empty() || dws.size() == ws.size(),
             "the weights of all parts are trained, or none");
    if (!dws.empty()) {
      record(OpId::kLinearDw, flops, {dy, x}, dws, [=, this](Ops& ops, const RunArgs& args) {
        std::vector<Out> outs;
        for (const OutRef& dw : dws) outs.push_back(out(dw, args));
        ops.linear_dw_of_parts(outs, in(dy), in(x), rows, n_in, n_out);
      });
    }
    if (const OutRef dx = contribute(x); dx.id >= 0) {
      record(OpId::kLinearDx, flops, reads_with(dy, ws), {dx},
             [=, this](Ops& ops, const RunArgs& args) {
               ops.linear_dx_of_parts(out(dx, args), in(dy), ws_in, rows, n_in, n_out);
             });
    }
  });
  return y;
}

}  // namespace pg
