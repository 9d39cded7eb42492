// <parts>
// Ops of models beyond the base stack: as those of plan_ops.cpp.
#include "src/base/check.h"
#include "src/plan/op_flops.h"
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

Tensor Plan::token_smear(Tensor x, Tensor ids, Tensor w, Tensor scale, int64_t tokens,
                         int64_t bos) {
  const TokenSmearShape shape = {.rows = info(x).rows,
                                 .tokens = tokens,
                                 .dim = info(x).cols,
                                 .width = info(w).cols,
                                 .bos = bos};
  PG_CHECK(info(ids).elements() == shape.rows && shape.width <= shape.dim,
           "token_smear: wrong shape");
  const Tensor y = make_activation("token_smear", shape.rows, shape.dim);
  keep_rows(x);
  record(OpId::kTokenSmear, 0, {x, ids, w, scale}, {write_to(y)},
         [=, this](Ops& ops, const RunArgs& args) {
           TokenSmearShape called = shape;
           called.rows = args.rows;
           called.first = args.first;
           ops.token_smear(out(write_to(y), args), rows_in(x, args), rows_in(ids, args), in(w),
                           in(scale), called);
         });
  token_smear_rule(y, x, ids, w, scale, shape);
  return y;
}

Tensor Plan::gated_mix(Tensor x, Tensor z, Tensor w, Tensor gate) {
  const int64_t rows = info(x).rows, dim = info(x).cols;
  PG_CHECK(info(z).rows == rows && info(z).cols == dim, "gated_mix: x and z differ in shape");
  const Tensor y = make_activation("gated_mix", rows, dim);
  record(OpId::kGatedMix, 0, {x, z, w, gate}, {write_to(y)},
         [=, this](Ops& ops, const RunArgs& args) {
           ops.gated_mix(out(write_to(y), args), rows_in(x, args), rows_in(z, args), in(w),
                         in(gate), args.rows, dim);
         });
  gated_mix_rule(y, x, z, w, gate);
  return y;
}

Tensor Plan::blend(Tensor x, Tensor a, Tensor z, Tensor b, bool sigmoid) {
  const int64_t rows = info(x).rows, dim = info(x).cols;
  PG_CHECK(info(z).rows == rows && info(z).cols == dim && x.id != z.id,
           "blend: x and z are two tensors of one shape");
  const Tensor y = make_activation("blend", rows, dim);
  record(OpId::kBlend, 0, {x, a, z, b}, {write_to(y)}, [=, this](Ops& ops, const RunArgs& args) {
    ops.blend(out(write_to(y), args), rows_in(x, args), in(a), rows_in(z, args), in(b), sigmoid,
              args.rows, dim);
  });
  blend_rule(y, x, a, z, b, sigmoid);
  return y;
}

Tensor Plan::gate_heads(Tensor x, Tensor n, Tensor w, Tensor b, float scale, float factor) {
  const int64_t cols = info(x).cols;
  const HeadGateShape shape = {.rows = info(x).rows,
                               .dim = info(n).cols,
                               .heads = info(w).rows,
                               .head_dim = cols / info(w).rows,
                               .width = info(w).cols,
                               .scale = scale,
                               .factor = factor};
  PG_CHECK(info(n).rows == shape.rows && shape.heads * shape.head_dim == cols &&
               shape.width <= shape.dim && (!b || info(b).elements() == shape.heads),
           "gate_heads: wrong shape");
  const Tensor y = make_activation("gate_heads", shape.rows, cols);
  record(OpId::kGateHeads, 0, {x, n, w, b}, {write_to(y)},
         [=, this](Ops& ops, const RunArgs& args) {
           HeadGateShape called = shape;
           called.rows = args.rows;
           ops.gate_heads(out(write_to(y), args), rows_in(x, args), rows_in(n, args), in(w), in(b),
                          called);
         });
  gate_heads_rule(y, x, n, w, b, shape);
  return y;
}

Tensor Plan::mix_layers(const std::vector<Tensor>& xs, Tensor h, Tensor w, Tensor a) {
  const LayerMixShape shape = {
      .rows = info(xs.front()).rows, .dim = info(xs.front()).cols, .hidden = info(h).cols};
  const auto count = static_cast<int64_t>(xs.size());
  PG_CHECK(xs.size() <= kMaxMixedLayers && info(h).rows == shape.rows && info(w).rows == count &&
               info(w).cols == shape.hidden && info(a).elements() == count,
           "mix_layers: wrong shape");
  std::vector<Tensor> reads = xs;
  for (size_t i = 0; i < xs.size(); ++i) {
    PG_CHECK(info(xs[i]).rows == shape.rows && info(xs[i]).cols == shape.dim,
             "mix_layers: layers differ in shape");
    for (size_t k = 0; k < i; ++k) PG_CHECK(xs[i].id != xs[k].id, "mix_layers: a layer twice");
  }
  reads.insert(reads.end(), {h, w, a});
  const Tensor y = make_activation("mix_layers", shape.rows, shape.dim);
  record(OpId::kMixLayers, 0, std::move(reads), {write_to(y)},
         [=, this](Ops& ops, const RunArgs& args) {
           LayerMixShape called = shape;
           called.rows = args.rows;
           In ins[kMaxMixedLayers];
           for (size_t i = 0; i < xs.size(); ++i) ins[i] = rows_in(xs[i], args);
           ops.mix_layers(out(write_to(y), args), {ins, xs.size()}, rows_in(h, args), in(w), in(a),
                          called);
         });
  mix_layers_rule(y, xs, h, w, a, shape);
  return y;
}

Tensor Plan::attention_of_pairs(Tensor q, Tensor k, Tensor v, const AttentionShape& shape) {
  AttentionShape pairs = shape;
  pairs.tokens *= 2;
  pairs.heads /= 2;
  pairs.kv_heads /= 2;
  PG_CHECK(!is_view(v) && info(q).rows == shape.rows() &&
               info(q).cols == 2 * pairs.heads * pairs.head_dim &&
               info(k).cols == 2 * pairs.kv_heads * pairs.head_dim && info(v).cols == info(k).cols,
           "attention_of_pairs: wrong shape");
  const Tensor y = make_activation("attention", info(q).rows, info(q).cols);
  const Tensor lse = make_f32("attention.lse", pairs.batch * pairs.heads, pairs.tokens);
  keep_rows(k);
  keep_rows(v);
  record(OpId::kAttention, attention_flops(pairs), {q, k, v}, {write_to(y), write_to(lse)},
         [=, this](Ops& ops, const RunArgs& args) {
           AttentionShape called = pairs;
           called.first = 2 * args.first;
           called.tokens = 2 * args.rows / pairs.batch;
           const Out all_lse = args.rows == shape.rows() ? out(write_to(lse), args) : Out{};
           ops.attention(out(write_to(y), args), all_lse, rows_in(q, args), in(k), in(v), called);
         });
  attention_rule(y, lse, q, k, v, pairs);
  return y;
}

Tensor Plan::prepend_rows(Tensor m, Tensor x, int64_t batch) {
  PG_CHECK(info(m).cols == info(x).cols, "prepend_rows: m and x differ in width");
  return record_prepend_rows(m, x, {batch, info(m).rows, info(x).rows / batch, info(x).cols});
}

Tensor Plan::prepend_zeros(Tensor x, int64_t batch, int64_t memory) {
  return record_prepend_rows({}, x, {batch, memory, info(x).rows / batch, info(x).cols});
}

Tensor Plan::record_prepend_rows(Tensor m, Tensor x, const PrependShape& shape) {
  PG_CHECK(info(x).rows == shape.batch * shape.tokens, "prepend_rows: x has whole sequences");
  const Tensor y = make_activation("prepend_rows", shape.rows, shape.dim);
  if (m) keep_rows(m);
  record(OpId::kPrependRows, 0, {m, x}, {write_to(y)}, [=, this](Ops& ops, const RunArgs& args) {
    PrependShape called = shape;
    called.first = args.first;
    called.rows = args.rows;
    ops.prepend_rows(out(write_to(y), args), in(m), in(x), called);
  });
  prepend_rows_rule(y, m, x, shape);
  return y;
}

}  // namespace pg
// </parts>
