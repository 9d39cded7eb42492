// Each op of a plan: its forward call. Its gradient rule stands in gradient/, its formula in
// device/ops.h.
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

// Of the rows that a call computes, where `shape` is that of all.
template <class Shape, class Args>
Shape shape_of_call(Shape shape, const Args& args) {
  shape.first = args.first;
  shape.tokens = args.rows / shape.batch;
  return shape;
}

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
  const In w_in = weight_in(w);
  record(OpId::kLinear, flops, {x, w, addend}, {write_to(y)},
         [=, this](Ops& ops, const RunArgs& args) {
           ops.linear(out(write_to(y), args), rows_in(x, args), w_in, rows_in(addend, args),
                      args.rows, n_in, n_out);
         });
  const size_t first_use = weight_uses_.size();
  // <train_gpt>
  if (collects_grams_) add_weight_uses(w, record_input_gram(x), {});
  // </train_gpt>
  linear_rule(y, addend, x, w, first_use);
  return y;
}

Tensor Plan::add_linear(Tensor y, Tensor u, Tensor w) {
  const int64_t rows = info(u).rows, n_in = info(u).cols, n_out = info(w).rows;
  PG_CHECK(info(w).cols == n_in && info(y).rows == rows && info(y).cols == n_out,
           "add_linear: shapes disagree");
  PG_CHECK(owner(y.id).last_call == owner(y.id).last_write,
           "add_linear: y is added to before it is read");
  const OutRef sum{y.id, /*adds=*/true, false};
  const In w_in = weight_in(w);
  record(OpId::kLinear, product_flops(rows, n_in, n_out), {u, w}, {sum},
         [=, this](Ops& ops, const RunArgs& args) {
           ops.linear(out(sum, args), rows_in(u, args), w_in, {}, args.rows, n_in, n_out);
         });
  // Recorded after the rule of what wrote y first, so it runs before that one, on the same dy.
  add_linear_rule(y, u, w);
  return y;
}

Tensor Plan::embed(Tensor ids, Tensor table) {
  const int64_t rows = info(ids).elements(), dim = info(table).cols;
  const Tensor y = make_activation("embed", rows, dim);
  record(OpId::kEmbed, 0, {ids, table}, {write_to(y)}, [=, this](Ops& ops, const RunArgs& args) {
    ops.embed(out(write_to(y), args), rows_in(ids, args), in(table), args.rows, dim);
  });
  const size_t use = weight_uses_.size();
  // <train_gpt>
  if (collects_grams_ && info(table).place == Place::kWeight) add_weight_uses(table, {}, ids);
  // </train_gpt>
  embed_rule(y, ids, table, use);
  return y;
}

Tensor Plan::bigram_hash(Tensor ids, int64_t tokens, int64_t buckets, bool trigram) {
  const int64_t rows = info(ids).elements();
  const Tensor hashed = make_f32("bigram_hash", rows, 1);
  info(hashed).dtype = DType::kI32;
  record(OpId::kBigramHash, 0, {ids}, {write_to(hashed)}, [=, this](Ops& ops, const RunArgs& args) {
    ops.bigram_hash(out(write_to(hashed), args), rows_in(ids, args), args.rows, tokens, buckets,
                    args.first, trigram);
  });
  return hashed;
}

// <train_gpt>
Tensor Plan::mean_bags(Tensor x, int64_t bag) {
  const int64_t rows = info(x).rows / bag, dim = info(x).cols;
  PG_CHECK(bag > 0 && rows * bag == info(x).rows, "mean_bags: rows are whole bags");
  const Tensor y = make_activation("mean_bags", rows, dim);
  record(OpId::kMeanBags, 0, {x}, {write_to(y)}, [=, this](Ops& ops, const RunArgs& args) {
    ops.mean_bags(out(write_to(y), args), in(x), rows, bag, dim);
  });
  add_rule(y, [=, this] {
    const Tensor dy = gradient(y);
    const OutRef dx = contribute(x);
    record(OpId::kMeanBagsBackward, 0, {dy}, {dx}, [=, this](Ops& ops, const RunArgs& args) {
      ops.mean_bags_backward(out(dx, args), in(dy), rows, bag, dim);
    });
  });
  return y;
}
// </train_gpt>

Tensor Plan::add_scaled(Tensor x, Tensor z, Tensor s1, Tensor s2) {
  const int64_t rows = info(x).rows, dim = info(x).cols;
  PG_CHECK(info(z).rows == rows && info(z).cols == dim, "add_scaled: x and z differ in shape");
  const Tensor y = make_activation("add_scaled", rows, dim);
  record(OpId::kAddScaled, 0, {x, z, s1, s2}, {write_to(y)},
         [=, this](Ops& ops, const RunArgs& args) {
           ops.add_scaled(out(write_to(y), args), rows_in(x, args), rows_in(z, args), in(s1),
                          in(s2), args.rows, dim);
         });
  add_scaled_rule(y, x, z, s1, s2);
  return y;
}

Tensor Plan::mix(Tensor x, Tensor a, Tensor z, Tensor b) {
  const int64_t rows = info(x).rows, dim = info(x).cols;
  PG_CHECK(info(z).rows == rows && info(z).cols == dim, "mix: x and z differ in shape");
  const Tensor y = make_activation("mix", rows, dim);
  record(OpId::kMix, 0, {x, a, z, b}, {write_to(y)}, [=, this](Ops& ops, const RunArgs& args) {
    ops.mix(out(write_to(y), args), rows_in(x, args), in(a), rows_in(z, args), in(b), args.rows,
            dim);
  });
  mix_rule(y, x, a, z, b);
  return y;
}

Tensor Plan::leaky_relu2(Tensor x, float slope) {
  const int64_t dim = info(x).cols;
  const Tensor y = make_activation("leaky_relu2", info(x).rows, dim);
  record(OpId::kLeakyRelu2, 0, {x}, {write_to(y)}, [=, this](Ops& ops, const RunArgs& args) {
    ops.leaky_relu2(out(write_to(y), args), rows_in(x, args), slope, args.rows * dim);
  });
  leaky_relu2_rule(y, x, slope);
  return y;
}

Tensor Plan::smear(Tensor x, Tensor gate, int64_t tokens) {
  const int64_t rows = info(x).rows, dim = info(x).cols;
  const Tensor y = make_activation("smear", rows, dim);
  keep_rows(x);
  record(OpId::kSmear, 0, {x, gate}, {write_to(y)}, [=, this](Ops& ops, const RunArgs& args) {
    ops.smear(out(write_to(y), args), rows_in(x, args), in(gate), args.rows, tokens, dim,
              args.first);
  });
  smear_rule(y, x, gate, tokens);
  return y;
}

Tensor Plan::rmsnorm(Tensor x, float scale) {
  const int64_t rows = info(x).rows, dim = info(x).cols;
  const Tensor y = make_activation("rmsnorm", rows, dim);
  const Tensor rstd = make_f32("rmsnorm.rstd", rows, 1);
  record(OpId::kRmsnorm, 0, {x}, {write_to(y), write_to(rstd)},
         [=, this](Ops& ops, const RunArgs& args) {
           ops.rmsnorm(out(write_to(y), args), out(write_to(rstd), args), rows_in(x, args), scale,
                       kNormEpsilon, args.rows, dim);
         });
  rmsnorm_rule(y, rstd, x, scale);
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
                           out(write_to(rstd), args), rows_in(x, args), in(a), rows_in(z, args),
                           in(b), scale, kNormEpsilon, args.rows, dim);
         });
  mix_rmsnorm_rule({y, n}, rstd, x, a, z, b, scale);
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
           ops.qk_norm_rope(out(write_to(y), args), out(write_to(rstd), args), rows_in(x, args),
                            in(gain), in(table), kNormEpsilon, shape_of_call(shape, args));
         });
  qk_norm_rope_rule(y, rstd, x, gain, table, shape);
  return y;
}

Tensor Plan::attention(Tensor q, Tensor k, Tensor v, const AttentionShape& shape) {
  PG_CHECK(info(q).rows == shape.rows() && info(q).cols == shape.heads * shape.head_dim &&
               info(k).cols == shape.kv_heads * shape.head_dim && info(v).cols == info(k).cols,
           "attention: wrong shape");
  const Tensor y = make_activation("attention", info(q).rows, info(q).cols);
  const Tensor lse = make_f32("attention.lse", shape.batch * shape.heads, shape.tokens);
  keep_rows(k);
  keep_rows(v);
  record(OpId::kAttention, attention_flops(shape), {q, k, v}, {write_to(y), write_to(lse)},
         [=, this](Ops& ops, const RunArgs& args) {
           // Gradients alone read lse, which has a row of each head.
           const Out all_lse = args.rows == shape.rows() ? out(write_to(lse), args) : Out{};
           ops.attention(out(write_to(y), args), all_lse, rows_in(q, args), in(k), in(v),
                         shape_of_call(shape, args));
         });
  attention_rule(y, lse, q, k, v, shape);
  return y;
}

Tensor Plan::xsa(Tensor x, Tensor v, const AttentionShape& shape) {
  const Tensor y = make_activation("xsa", info(x).rows, info(x).cols);
  record(OpId::kXsa, 0, {x, v}, {write_to(y)}, [=, this](Ops& ops, const RunArgs& args) {
    AttentionShape rows = shape_of_call(shape, args);
    rows.first = 0;
    ops.xsa(out(write_to(y), args), rows_in(x, args), rows_in(v, args), rows);
  });
  xsa_rule(y, x, v, shape);
  return y;
}

LogProbTensors Plan::softcap_log_probs(Tensor logits, Softcap cap) {
  const int64_t rows = info(logits).rows, vocab = info(logits).cols;
  const LogProbTensors y{make_f32("softcap_log_probs", rows, vocab),
                         make_f32("softcap_log_probs.entropy", rows, 1)};
  keep(y.log_probs);
  keep(y.entropy);
  // <parts>
  if (logit_sides_) cap.sides = in(logit_sides_);
  // </parts>
  record(OpId::kSoftcapLogProbs, 0,
         {
             logits,
             // <parts>
             logit_sides_
             // </parts>
         },
         {write_to(y.log_probs), write_to(y.entropy)}, [=, this](Ops& ops, const RunArgs& args) {
           ops.softcap_log_probs(out(write_to(y.log_probs), args), out(write_to(y.entropy), args),
                                 rows_in(logits, args), cap, args.rows, vocab);
         });
  return y;
}

}  // namespace pg
