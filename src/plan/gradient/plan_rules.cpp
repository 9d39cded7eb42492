// Each op of a plan: its forward call and, beside it, its gradient rule. Formulas: device/ops.h.
//
// Only products count as flops: the rest is bounded by memory, which OpCall::bytes counts.
#include "src/base/check.h"
#include "src/plan/op_flops.h"
#include "src/plan/plan.h"

namespace pg {
namespace {

// The fp32 machine epsilon, which the records' RMSNorm uses whatever the storage type
// (formulas.md 2.1).
constexpr float kNormEpsilon = 1.1920929e-07f;

}  // namespace

Tensor Plan::linear(Tensor x, Tensor w, bool f32_output) {
  return record_linear({}, x, w, f32_output);
}
Tensor Plan::linear_add(Tensor addend, Tensor x, Tensor w) {
  return record_linear(addend, x, w, /*f32_output=*/false);
}

Tensor Plan::record_linear(Tensor addend, Tensor x, Tensor w, bool f32_output) {
  const int64_t rows = info(x).rows, n_in = info(x).cols, n_out = info(w).rows;
  PG_CHECK(info(w).cols == n_in, "linear: x and w disagree on the inner size");
  PG_CHECK(!addend || (info(addend).rows == rows && info(addend).cols == n_out),
           "linear: the addend has the shape of the result");
  const Tensor y =
      f32_output ? make_f32("linear", rows, n_out) : make_activation("linear", rows, n_out);
  info(y).needs_gradient = true;
  const double flops = product_flops(rows, n_in, n_out);
  record(OpId::kLinear, flops, {x, w, addend}, {write_to(y)},
         [=, this](Ops& ops, const RunArgs& args) {
           ops.linear(out(write_to(y), args), in(x), in(w), in(addend), rows, n_in, n_out);
         });
  const size_t first_use = weight_uses_.size();
  if (collects_grams_) add_weight_uses(w, record_input_gram(x), {});
  const bool is_used = collects_grams_;
  add_rule(y, [=, this] {
    const Tensor dy = gradient(y);
    if (is_used) set_squares(first_use, w, record_column_squares(dy));
    record_linear_gradients(dy, x, w);
    if (addend && !pass_gradient(y, addend)) {
      const OutRef daddend = contribute(addend);
      record(OpId::kMixBackward, 0, {dy}, {daddend}, [=, this](Ops& ops, const RunArgs& args) {
        ops.mix_backward(out(daddend, args), {}, {}, {}, in(dy), {}, {}, {}, {}, rows, n_out);
      });
    }
  });
  return y;
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

Tensor Plan::add_linear(Tensor y, Tensor u, Tensor w) {
  const int64_t rows = info(u).rows, n_in = info(u).cols, n_out = info(w).rows;
  PG_CHECK(info(w).cols == n_in && info(y).rows == rows && info(y).cols == n_out,
           "add_linear: shapes disagree");
  PG_CHECK(owner(y.id).last_call == owner(y.id).last_write,
           "add_linear: y is added to before it is read");
  const OutRef sum{y.id, /*adds=*/true, false};
  record(OpId::kLinear, product_flops(rows, n_in, n_out), {u, w}, {sum},
         [=, this](Ops& ops, const RunArgs& args) {
           ops.linear(out(sum, args), in(u), in(w), {}, rows, n_in, n_out);
         });
  // Recorded after the rule of what wrote y first, so it runs before that one, on the same dy.
  add_rule(y, [=, this] { record_linear_gradients(gradient(y), u, w); });
  return y;
}

Tensor Plan::embed(Tensor ids, Tensor table) {
  const int64_t rows = info(ids).elements(), vocab = info(table).rows, dim = info(table).cols;
  const Tensor y = make_activation("embed", rows, dim);
  record(OpId::kEmbed, 0, {ids, table}, {write_to(y)}, [=, this](Ops& ops, const RunArgs& args) {
    ops.embed(out(write_to(y), args), in(ids), in(table), rows, dim);
  });
  const size_t use = weight_uses_.size();
  if (collects_grams_) add_weight_uses(table, {}, ids);
  const bool is_used = collects_grams_;
  add_rule(y, [=, this] {
    const Tensor dy = gradient(y);
    if (is_used) weight_uses_[use].gram = record_gram(dy);
    const OutRef dtable = contribute(table);
    if (dtable.id < 0) return;
    record(OpId::kEmbedBackward, 0, {ids, dy}, {dtable}, [=, this](Ops& ops, const RunArgs& args) {
      ops.embed_backward(out(dtable, args), in(ids), in(dy), rows, vocab, dim);
    });
  });
  return y;
}

Tensor Plan::bigram_hash(Tensor ids, int64_t tokens, int64_t buckets) {
  const int64_t rows = info(ids).elements();
  const Tensor hashed = make_f32("bigram_hash", rows, 1);
  info(hashed).dtype = DType::kI32;
  record(OpId::kBigramHash, 0, {ids}, {write_to(hashed)}, [=, this](Ops& ops, const RunArgs& args) {
    ops.bigram_hash(out(write_to(hashed), args), in(ids), rows, tokens, buckets);
  });
  return hashed;
}

Tensor Plan::add_scaled(Tensor x, Tensor z, Tensor s1, Tensor s2) {
  const int64_t rows = info(x).rows, dim = info(x).cols;
  PG_CHECK(info(z).rows == rows && info(z).cols == dim, "add_scaled: x and z differ in shape");
  const Tensor y = make_activation("add_scaled", rows, dim);
  record(OpId::kAddScaled, 0, {x, z, s1, s2}, {write_to(y)},
         [=, this](Ops& ops, const RunArgs& args) {
           ops.add_scaled(out(write_to(y), args), in(x), in(z), in(s1), in(s2), rows, dim);
         });
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
  return y;
}

Tensor Plan::mix(Tensor x, Tensor a, Tensor z, Tensor b) {
  const int64_t rows = info(x).rows, dim = info(x).cols;
  PG_CHECK(info(z).rows == rows && info(z).cols == dim, "mix: x and z differ in shape");
  const Tensor y = make_activation("mix", rows, dim);
  record(OpId::kMix, 0, {x, a, z, b}, {write_to(y)}, [=, this](Ops& ops, const RunArgs& args) {
    ops.mix(out(write_to(y), args), in(x), in(a), in(z), in(b), rows, dim);
  });
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
  return y;
}

Tensor Plan::leaky_relu2(Tensor x, float slope) {
  const int64_t count = info(x).elements();
  const Tensor y = make_activation("leaky_relu2", info(x).rows, info(x).cols);
  record(OpId::kLeakyRelu2, 0, {x}, {write_to(y)}, [=, this](Ops& ops, const RunArgs& args) {
    ops.leaky_relu2(out(write_to(y), args), in(x), slope, count);
  });
  add_rule(y, [=, this] {
    const Tensor dy = gradient(y);
    const OutRef dx = contribute(x);
    record(OpId::kLeakyRelu2Backward, 0, {dy, x}, {dx}, [=, this](Ops& ops, const RunArgs& args) {
      ops.leaky_relu2_backward(out(dx, args), in(dy), in(x), slope, count);
    });
  });
  return y;
}

Tensor Plan::smear(Tensor x, Tensor gate, int64_t tokens) {
  const int64_t rows = info(x).rows, dim = info(x).cols;
  const Tensor y = make_activation("smear", rows, dim);
  record(OpId::kSmear, 0, {x, gate}, {write_to(y)}, [=, this](Ops& ops, const RunArgs& args) {
    ops.smear(out(write_to(y), args), in(x), in(gate), rows, tokens, dim);
  });
  add_rule(y, [=, this] {
    const Tensor dy = gradient(y);
    const OutRef dx = contribute(x), dgate = contribute(gate);
    record(OpId::kSmearBackward, 0, {dy, x, gate}, {dx, dgate},
           [=, this](Ops& ops, const RunArgs& args) {
             ops.smear_backward(out(dx, args), out(dgate, args), in(dy), in(x), in(gate), rows,
                                tokens, dim);
           });
  });
  return y;
}

Tensor Plan::rmsnorm(Tensor x, float scale) {
  const int64_t rows = info(x).rows, dim = info(x).cols;
  const Tensor y = make_activation("rmsnorm", rows, dim);
  const Tensor rstd = make_f32("rmsnorm.rstd", rows, 1);
  record(OpId::kRmsnorm, 0, {x}, {write_to(y), write_to(rstd)},
         [=, this](Ops& ops, const RunArgs& args) {
           ops.rmsnorm(out(write_to(y), args), out(write_to(rstd), args), in(x), scale,
                       kNormEpsilon, rows, dim);
         });
  add_rule(y, [=, this] {
    const Tensor dy = gradient(y);
    const OutRef dx = contribute(x);
    record(OpId::kRmsnormBackward, 0, {dy, x, rstd}, {dx},
           [=, this](Ops& ops, const RunArgs& args) {
             ops.rmsnorm_backward(out(dx, args), in(dy), in(x), in(rstd), scale, rows, dim);
           });
  });
  return y;
}

MixNormTensors Plan::mix_rmsnorm(Tensor x, Tensor a, Tensor z, Tensor b, float scale) {
  const int64_t rows = info(x).rows, dim = info(x).cols;
  PG_CHECK(info(z).rows == rows && info(z).cols == dim, "mix_rmsnorm: x and z differ in shape");
  const Tensor y = make_activation("mix_rmsnorm.mix", rows, dim);
  const Tensor n = make_activation("mix_rmsnorm", rows, dim);
  const Tensor rstd = make_f32("mix_rmsnorm.rstd", rows, 1);
  record(OpId::kMixRmsnorm, 0, {x, a, z, b}, {write_to(y), write_to(n), write_to(rstd)},
         [=, this](Ops& ops, const RunArgs& args) {
           ops.mix_rmsnorm(out(write_to(y), args), out(write_to(n), args),
                           out(write_to(rstd), args), in(x), in(a), in(z), in(b), scale,
                           kNormEpsilon, rows, dim);
         });
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
  return {y, n};
}

Tensor Plan::qk_norm_rope(Tensor x, Tensor gain, Tensor table, const HeadShape& shape) {
  const int64_t rows = info(x).rows, cols = info(x).cols;
  PG_CHECK(rows == shape.rows() && cols == shape.heads * shape.head_dim,
           "qk_norm_rope: wrong shape");
  const Tensor y = make_activation("qk_norm_rope", rows, cols);
  const Tensor rstd = make_f32("qk_norm_rope.rstd", rows, shape.heads);
  record(OpId::kQkNormRope, 0, {x, gain, table}, {write_to(y), write_to(rstd)},
         [=, this](Ops& ops, const RunArgs& args) {
           ops.qk_norm_rope(out(write_to(y), args), out(write_to(rstd), args), in(x), in(gain),
                            in(table), kNormEpsilon, shape);
         });
  add_rule(y, [=, this] {
    const Tensor dy = gradient(y);
    const OutRef dx = contribute(x), dgain = contribute(gain);
    record(OpId::kQkNormRopeBackward, 0, {dy, x, rstd, gain, table}, {dx, dgain},
           [=, this](Ops& ops, const RunArgs& args) {
             ops.qk_norm_rope_backward(out(dx, args), out(dgain, args), in(dy), in(x), in(rstd),
                                       in(gain), in(table), shape);
           });
  });
  return y;
}

Tensor Plan::attention(Tensor q, Tensor k, Tensor v, const AttentionShape& shape) {
  PG_CHECK(info(q).rows == shape.rows() && info(q).cols == shape.heads * shape.head_dim &&
               info(k).cols == shape.kv_heads * shape.head_dim && info(v).cols == info(k).cols,
           "attention: wrong shape");
  const Tensor y = make_activation("attention", info(q).rows, info(q).cols);
  const Tensor lse = make_f32("attention.lse", shape.batch * shape.heads, shape.tokens);
  record(OpId::kAttention, attention_flops(shape), {q, k, v}, {write_to(y), write_to(lse)},
         [=, this](Ops& ops, const RunArgs& args) {
           ops.attention(out(write_to(y), args), out(write_to(lse), args), in(q), in(k), in(v),
                         shape);
         });
  add_rule(y, [=, this] {
    const Tensor dy = gradient(y);
    const OutRef dq = contribute(q), dk = contribute(k), dv = contribute(v);
    record(OpId::kAttentionBackward, attention_backward_flops(shape), {dy, y, lse, q, k, v},
           {dq, dk, dv}, [=, this](Ops& ops, const RunArgs& args) {
             ops.attention_backward(out(dq, args), out(dk, args), out(dv, args), in(dy), in(y),
                                    in(lse), in(q), in(k), in(v), shape);
           });
  });
  return y;
}

Tensor Plan::xsa(Tensor x, Tensor v, const AttentionShape& shape) {
  const Tensor y = make_activation("xsa", info(x).rows, info(x).cols);
  record(OpId::kXsa, 0, {x, v}, {write_to(y)}, [=, this](Ops& ops, const RunArgs& args) {
    ops.xsa(out(write_to(y), args), in(x), in(v), shape);
  });
  add_rule(y, [=, this] {
    const Tensor dy = gradient(y);
    const OutRef dx = contribute(x), dv = contribute(v);
    record(OpId::kXsaBackward, 0, {dy, x, v}, {dx, dv}, [=, this](Ops& ops, const RunArgs& args) {
      ops.xsa_backward(out(dx, args), out(dv, args), in(dy), in(x), in(v), shape);
    });
  });
  return y;
}

LossTensors Plan::softcap_xent(Tensor logits, Tensor targets, Tensor weights, float cap) {
  const int64_t rows = info(logits).rows, vocab = info(logits).cols, n = info(targets).cols;
  PG_CHECK(info(targets).rows == rows && info(weights).cols == n, "softcap_xent: wrong shape");
  const LossTensors y{make_f32("softcap_xent", rows, 1), make_f32("softcap_xent.lse", rows, 1)};
  keep(y.loss);
  record(OpId::kSoftcapXent, 0, {logits, targets, weights}, {write_to(y.loss), write_to(y.lse)},
         [=, this](Ops& ops, const RunArgs& args) {
           ops.softcap_xent(out(write_to(y.loss), args), out(write_to(y.lse), args), in(logits),
                            in(targets), in(weights), cap, rows, vocab, n);
         });
  add_rule(y.loss, [=, this] {
    const OutRef dlogits = contribute(logits);
    record(OpId::kSoftcapXentBackward, 0, {logits, y.lse, targets, weights, loss_gradient_},
           {dlogits}, [=, this](Ops& ops, const RunArgs& args) {
             ops.softcap_xent_backward(out(dlogits, args), in(logits), in(y.lse), in(targets),
                                       in(weights), in(loss_gradient_), cap, rows, vocab, n);
           });
  });
  return y;
}

LogProbTensors Plan::softcap_log_probs(Tensor logits, float cap) {
  const int64_t rows = info(logits).rows, vocab = info(logits).cols;
  const LogProbTensors y{make_f32("softcap_log_probs", rows, vocab),
                         make_f32("softcap_log_probs.entropy", rows, 1)};
  keep(y.log_probs);
  keep(y.entropy);
  record(OpId::kSoftcapLogProbs, 0, {logits}, {write_to(y.log_probs), write_to(y.entropy)},
         [=, this](Ops& ops, const RunArgs& args) {
           ops.softcap_log_probs(out(write_to(y.log_probs), args), out(write_to(y.entropy), args),
                                 in(logits), cap, rows, vocab);
         });
  return y;
}

Tensor Plan::mean(Tensor x) {
  const int64_t count = info(x).elements();
  const OutRef sum = make_sum(info(x).name + ".mean", 1, 1, DType::kF64);
  record(OpId::kSum, 0, {x}, {sum}, [=, this](Ops& ops, const RunArgs& args) {
    ops.sum(out(sum, args), in(x), 1.0 / static_cast<double>(count), count);
  });
  return Tensor{sum.id};
}

}  // namespace pg
