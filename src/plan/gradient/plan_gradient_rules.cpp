// The gradient rule of each op of a plan: what finish() runs backwards. Formulas: device/ops.h.
#include "src/plan/op_flops.h"
#include "src/plan/plan.h"

namespace pg {

void Plan::linear_rule(Tensor y, Tensor addend, Tensor x, Tensor w, size_t first_use) {
  const int64_t rows = info(x).rows, n_out = info(w).rows;
  // <train_gpt>
  const bool is_used = collects_grams_;
  // </train_gpt>
  add_rule(y, [=, this] {
    const Tensor dy = gradient(y);
    // <train_gpt>
    if (is_used) set_squares(first_use, w, record_column_squares(dy));
    // </train_gpt>
    record_linear_gradients(dy, x, w);
    if (addend && !pass_gradient(y, addend)) {
      const OutRef daddend = contribute(addend);
      record(OpId::kMixBackward, 0, {dy}, {daddend}, [=, this](Ops& ops, const RunArgs& args) {
        ops.mix_backward(out(daddend, args), {}, {}, {}, in(dy), {}, {}, {}, {}, rows, n_out);
      });
    }
  });
}

// Of y = x wT, from dy.
void Plan::record_linear_gradients(Tensor dy, Tensor x, Tensor w) {
  const int64_t rows = info(x).rows, n_in = info(x).cols, n_out = info(w).rows;
  const double flops = product_flops(rows, n_in, n_out);
  if (const OutRef dw = contribute(w); dw.id >= 0) {
    record(OpId::kLinearDw, flops, {dy, x}, {dw}, [=, this](Ops& ops, const RunArgs& args) {
      ops.linear_dw(out(dw, args), in(dy), in(x), rows, n_in, n_out);
    });
  }
  if (const OutRef dx = contribute(x); dx.id >= 0) {
    record(OpId::kLinearDx, flops, {dy, w}, {dx}, [=, this](Ops& ops, const RunArgs& args) {
      ops.linear_dx(out(dx, args), in(dy), in(w), rows, n_in, n_out);
    });
  }
}

void Plan::add_linear_rule(Tensor y, Tensor u, Tensor w) {
  add_rule(y, [=, this] { record_linear_gradients(gradient(y), u, w); });
}

void Plan::embed_rule(Tensor y, Tensor ids, Tensor table, size_t use) {
  const int64_t rows = info(ids).elements(), vocab = info(table).rows, dim = info(table).cols;
  // <train_gpt>
  const bool is_used = collects_grams_ && info(table).place == Place::kWeight;
  // </train_gpt>
  add_rule(y, [=, this] {
    const Tensor dy = gradient(y);
    // <train_gpt>
    if (is_used) weight_uses_[use].gram = record_gram(dy);
    // </train_gpt>
    const OutRef dtable = contribute(table);
    if (dtable.id < 0) return;
    record(OpId::kEmbedBackward, 0, {ids, dy}, {dtable}, [=, this](Ops& ops, const RunArgs& args) {
      ops.embed_backward(out(dtable, args), in(ids), in(dy), rows, vocab, dim);
    });
  });
}

void Plan::add_scaled_rule(Tensor y, Tensor x, Tensor z, Tensor s1, Tensor s2) {
  const int64_t rows = info(x).rows, dim = info(x).cols;
  add_rule(y, [=, this] {
    const Tensor dy = gradient(y);
    const bool is_one = x.id == z.id;  // as in mix, below
    const OutRef dx = !is_one && pass_gradient(y, x) ? OutRef{} : contribute(x);
    const auto record_part = [=, this](OutRef dx, OutRef dz, OutRef ds1, OutRef ds2) {
      record(OpId::kAddScaledBackward, 0, {dy, z, s1, s2}, {dx, dz, ds1, ds2},
             [=, this](Ops& ops, const RunArgs& args) {
               ops.add_scaled_backward(out(dx, args), out(dz, args), out(ds1, args), out(ds2, args),
                                       in(dy), in(z), in(s1), in(s2), rows, dim);
             });
    };
    if (is_one) record_part(dx, {}, {}, {});
    const OutRef dz = contribute(z), ds1 = contribute(s1), ds2 = contribute(s2);
    record_part(is_one ? OutRef{} : dx, dz, ds1, ds2);
  });
}

void Plan::mix_rule(Tensor y, Tensor x, Tensor a, Tensor z, Tensor b) {
  const int64_t rows = info(x).rows, dim = info(x).cols;
  add_rule(y, [=, this] {
    const Tensor dy = gradient(y);
    // With a = 1 the gradient of x is dy itself: no copy when x has no other contribution yet. Where
    // x is z, as at the first decoder block of the U-Net, it has one: b dy would go into what db is
    // then computed from.
    const bool is_one = x.id == z.id;
    const OutRef dx = !a && !is_one && pass_gradient(y, x) ? OutRef{} : contribute(x);
    const OutRef da = contribute(a);
    const auto record_part = [=, this](OutRef dx, OutRef dz, OutRef da, OutRef db) {
      record(OpId::kMixBackward, 0, {dy, x, a, z, b}, {dx, dz, da, db},
             [=, this](Ops& ops, const RunArgs& args) {
               ops.mix_backward(out(dx, args), out(dz, args), out(da, args), out(db, args), in(dy),
                                in(x), in(a), in(z), in(b), rows, dim);
             });
    };
    const OutRef dz = contribute(z), db = contribute(b);
    if (is_one) {  // both contributions go to one buffer: outputs of one call must not alias
      record_part(dx, {}, da, {});
      record_part({}, dz, {}, db);
    } else {
      record_part(dx, dz, da, db);
    }
  });
}

void Plan::leaky_relu2_rule(Tensor y, Tensor x, float slope) {
  const int64_t count = info(x).elements();
  add_rule(y, [=, this] {
    const Tensor dy = gradient(y);
    const OutRef dx = contribute(x);
    record(OpId::kLeakyRelu2Backward, 0, {dy, x}, {dx}, [=, this](Ops& ops, const RunArgs& args) {
      ops.leaky_relu2_backward(out(dx, args), in(dy), in(x), slope, count);
    });
  });
}

void Plan::smear_rule(Tensor y, Tensor x, Tensor gate, int64_t tokens) {
  const int64_t rows = info(x).rows, dim = info(x).cols;
  add_rule(y, [=, this] {
    const Tensor dy = gradient(y);
    const OutRef dx = contribute(x), dgate = contribute(gate);
    record(OpId::kSmearBackward, 0, {dy, x, gate}, {dx, dgate},
           [=, this](Ops& ops, const RunArgs& args) {
             ops.smear_backward(out(dx, args), out(dgate, args), in(dy), in(x), in(gate), rows,
                                tokens, dim);
           });
  });
}

void Plan::rmsnorm_rule(Tensor y, Tensor rstd, Tensor x, float scale) {
  const int64_t rows = info(x).rows, dim = info(x).cols;
  add_rule(y, [=, this] {
    const Tensor dy = gradient(y);
    const OutRef dx = contribute(x);
    record(OpId::kRmsnormBackward, 0, {dy, x, rstd}, {dx},
           [=, this](Ops& ops, const RunArgs& args) {
             ops.rmsnorm_backward(out(dx, args), in(dy), in(x), in(rstd), scale, rows, dim);
           });
  });
}

void Plan::mix_rmsnorm_rule(MixNormTensors mixed, Tensor rstd, Tensor x, Tensor a, Tensor z,
                            Tensor b, float scale) {
  const Tensor y = mixed.y, n = mixed.n;
  const int64_t rows = info(x).rows, dim = info(x).cols;
  add_rule(n, [=, this] {
    const Tensor dn = gradient(n);
    Tensor dy;  // absent where nothing but the norm reads the mix
    if (info(y).gradient_written) {
      begin_rule(y);
      dy = gradient(y);
    }
    const auto record_part = [=, this](OutRef dx, OutRef dz, OutRef da, OutRef db) {
      record(OpId::kMixRmsnormBackward, 0, {dy, dn, x, a, z, b, rstd}, {dx, dz, da, db},
             [=, this](Ops& ops, const RunArgs& args) {
               ops.mix_rmsnorm_backward(out(dx, args), out(dz, args), out(da, args), out(db, args),
                                        in(dy), in(dn), in(x), in(a), in(z), in(b), in(rstd), scale,
                                        rows, dim);
             });
    };
    const OutRef dx = contribute(x), da = contribute(a);
    if (x.id == z.id) {  // as in mix: outputs of one call must not alias
      record_part(dx, {}, da, {});
      record_part({}, contribute(z), {}, contribute(b));
      return;
    }
    const OutRef dz = contribute(z), db = contribute(b);
    record_part(dx, dz, da, db);
  });
}

void Plan::qk_norm_rope_rule(Tensor y, Tensor rstd, Tensor x, Tensor gain, Tensor table,
                             const HeadShape& shape) {
  add_rule(y, [=, this] {
    const Tensor dy = gradient(y);
    const OutRef dx = contribute(x), dgain = contribute(gain);
    record(OpId::kQkNormRopeBackward, 0, {dy, x, rstd, gain, table}, {dx, dgain},
           [=, this](Ops& ops, const RunArgs& args) {
             ops.qk_norm_rope_backward(out(dx, args), out(dgain, args), in(dy), in(x), in(rstd),
                                       in(gain), in(table), shape);
           });
  });
}

void Plan::attention_rule(Tensor y, Tensor lse, Tensor q, Tensor k, Tensor v,
                          const AttentionShape& shape) {
  add_rule(y, [=, this] {
    const Tensor dy = gradient(y);
    const OutRef dq = contribute(q), dk = contribute(k), dv = contribute(v);
    record(OpId::kAttentionBackward, attention_backward_flops(shape), {dy, y, lse, q, k, v},
           {dq, dk, dv}, [=, this](Ops& ops, const RunArgs& args) {
             ops.attention_backward(out(dq, args), out(dk, args), out(dv, args), in(dy), in(y),
                                    in(lse), in(q), in(k), in(v), shape);
           });
  });
}

void Plan::xsa_rule(Tensor y, Tensor x, Tensor v, const AttentionShape& shape) {
  add_rule(y, [=, this] {
    const Tensor dy = gradient(y);
    const OutRef dx = contribute(x), dv = contribute(v);
    record(OpId::kXsaBackward, 0, {dy, x, v}, {dx, dv}, [=, this](Ops& ops, const RunArgs& args) {
      ops.xsa_backward(out(dx, args), out(dv, args), in(dy), in(x), in(v), shape);
    });
  });
}

}  // namespace pg
