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

void Plan::token_smear_rule(Tensor y, Tensor x, Tensor ids, Tensor w, Tensor scale,
                            const TokenSmearShape& shape) {
  add_rule(y, [=, this] {
    const Tensor dy = gradient(y);
    const OutRef dx = contribute(x), dw = contribute(w), dscale = contribute(scale);
    record(OpId::kTokenSmearBackward, 0, {dy, x, ids, w, scale}, {dx, dw, dscale},
           [=, this](Ops& ops, const RunArgs& args) {
             ops.token_smear_backward(out(dx, args), out(dw, args), out(dscale, args), in(dy),
                                      in(x), in(ids), in(w), in(scale), shape);
           });
  });
}

void Plan::gated_mix_rule(Tensor y, Tensor x, Tensor z, Tensor w, Tensor gate) {
  const int64_t rows = info(x).rows, dim = info(x).cols;
  add_rule(y, [=, this] {
    const Tensor dy = gradient(y);
    const auto record_part = [=, this](OutRef dx, OutRef dz, OutRef dw, OutRef dgate) {
      record(OpId::kGatedMixBackward, 0, {dy, x, z, w, gate}, {dx, dz, dw, dgate},
             [=, this](Ops& ops, const RunArgs& args) {
               ops.gated_mix_backward(out(dx, args), out(dz, args), out(dw, args), out(dgate, args),
                                      in(dy), in(x), in(z), in(w), in(gate), rows, dim);
             });
    };
    const OutRef dx = contribute(x), dgate = contribute(gate);
    if (x.id == z.id) {  // as in mix: outputs of one call must not alias
      record_part(dx, {}, {}, dgate);
      record_part({}, contribute(z), contribute(w), {});
      return;
    }
    const OutRef dz = contribute(z), dw = contribute(w);
    record_part(dx, dz, dw, dgate);
  });
}

void Plan::blend_rule(Tensor y, Tensor x, Tensor a, Tensor z, Tensor b, bool sigmoid) {
  const int64_t rows = info(x).rows, dim = info(x).cols;
  add_rule(y, [=, this] {
    const Tensor dy = gradient(y);
    const OutRef dx = contribute(x), dz = contribute(z), da = contribute(a), db = contribute(b);
    record(OpId::kBlendBackward, 0, {dy, x, a, z, b}, {dx, dz, da, db},
           [=, this](Ops& ops, const RunArgs& args) {
             ops.blend_backward(out(dx, args), out(dz, args), out(da, args), out(db, args), in(dy),
                                in(x), in(a), in(z), in(b), sigmoid, rows, dim);
           });
  });
}

void Plan::gate_heads_rule(Tensor y, Tensor x, Tensor n, Tensor w, Tensor b,
                           const HeadGateShape& shape) {
  add_rule(y, [=, this] {
    const Tensor dy = gradient(y);
    const OutRef dx = contribute(x), dn = contribute(n), dw = contribute(w), db = contribute(b);
    record(OpId::kGateHeadsBackward, 0, {dy, x, n, w, b}, {dx, dn, dw, db},
           [=, this](Ops& ops, const RunArgs& args) {
             ops.gate_heads_backward(out(dx, args), out(dn, args), out(dw, args), out(db, args),
                                     in(dy), in(x), in(n), in(w), in(b), shape);
           });
  });
}

void Plan::mix_layers_rule(Tensor y, const std::vector<Tensor>& xs, Tensor h, Tensor w, Tensor a,
                           const LayerMixShape& shape) {
  add_rule(y, [=, this] {
    const Tensor dy = gradient(y);
    std::vector<Tensor> reads = xs;
    reads.insert(reads.end(), {dy, h, w, a});
    std::vector<OutRef> writes;
    for (const Tensor x : xs) writes.push_back(contribute(x));
    const OutRef dh = contribute(h), dw = contribute(w), da = contribute(a);
    const std::vector<OutRef> dxs = writes;
    writes.insert(writes.end(), {dh, dw, da});
    record(OpId::kMixLayersBackward, 0, std::move(reads), std::move(writes),
           [=, this](Ops& ops, const RunArgs& args) {
             In ins[kMaxMixedLayers];
             Out outs[kMaxMixedLayers];
             for (size_t i = 0; i < xs.size(); ++i) {
               ins[i] = in(xs[i]);
               outs[i] = out(dxs[i], args);
             }
             ops.mix_layers_backward({outs, xs.size()}, out(dh, args), out(dw, args), out(da, args),
                                     in(dy), {ins, xs.size()}, in(h), in(w), in(a), shape);
           });
  });
}

void Plan::prepend_rows_rule(Tensor y, Tensor m, Tensor x, const PrependShape& shape) {
  add_rule(y, [=, this] {
    const Tensor dy = gradient(y);
    const OutRef dx = contribute(x), dm = contribute(m);
    record(OpId::kPrependRowsBackward, 0, {dy}, {dx, dm}, [=, this](Ops& ops, const RunArgs& args) {
      ops.prepend_rows_backward(out(dx, args), out(dm, args), in(dy), shape);
    });
  });
}

}  // namespace pg
// </parts>
