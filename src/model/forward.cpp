// The forward pass of record 2026-03-23, written once (formulas.md 2.2-2.7). Gradients come
// from the plan.
//
// Shapes: N = batch * seq_len rows; D model width, H query heads, K kv heads, S head size, F MLP
// width, V vocabulary. In the blocks N has the rows of a memory too.
#include "src/model/forward.h"

#include <cmath>
// <train_gpt>
#include <string>
// </train_gpt>
#include <vector>

// <train_gpt>
#include "src/base/check.h"
// </train_gpt>
#include "src/model/model.h"
#include "src/model/rope_table.h"

namespace pg {
namespace {

using enum ParamRole;

class Forward {
 public:
  Forward(Plan& plan, const ModelConfig& config, int64_t batch, int64_t seq_len,
          const ForwardOptions& options)
      : p(plan), c(config), options_(options), batch_(batch), seq_len_(seq_len), row_(seq_len) {
    // <parts>
    row_ += c.memory_tokens;
    // </parts>
    // <train_gpt>
    if (options.longest_sequence > 0) {
      begin_packed_rows(options.longest_sequence);
    } else
      // </train_gpt>
      if (c.rope_dims > 0) {
        rope_ = p.constant("rope", row_, c.rope_dims, make_rope_table(c, row_));
      }
    // <parts>
    plain_rope_ = rope_;
    if (c.rope_dims > 0 && !c.paired_heads_at.empty()) {
      paired_rope_ = p.constant("paired_rope", row_, c.rope_dims, make_even_rope_table(c, row_));
    }
    // </parts>
  }

  ForwardTensors record() {
    // <parts>
    if (options_.last_positions == 0) options_.last_positions = seq_len_;
    // </parts>
    const bool is_partial = options_.last_positions > 0 && options_.last_positions < row_;
    ForwardTensors f;
    f.ids = p.input_ids("ids", batch_ * seq_len_, 1);
    // <train_gpt>
    f.starts = starts_;
    if (options_.bag > 1) f.ids = p.input_ids("bags", batch_ * seq_len_, options_.bag);
    // </train_gpt>
    if (options_.with_loss) {
      int64_t positions = seq_len_;
      // <parts>
      positions = options_.last_positions;
      // </parts>
      f.targets = p.input_ids("targets", batch_ * positions, options_.targets);
    }

    Tensor x = embed(f.ids);
    if (has_value_embedding(c)) value_embedding_ = project_value_embedding(f.ids);
    // <parts>
    if (c.memory_tokens > 0) x = prepend_memory(x);
    // </parts>
    const Tensor x0 = x;

    std::vector<Tensor> skips;
    p.set_in_block(true);
    int64_t runs = c.layers;
    // <parts>
    runs += loop_runs(c);
    outputs_.push_back(x);
    // </parts>
    for (int64_t run = 0; run < runs; ++run) {
      int64_t l = run;
      // <parts>
      l = block_of_run(c, run);
      run_ = run;
      // </parts>
      const int64_t decoder = run - runs / 2;
      if (is_partial && run == runs - 1) last_rows_ = list_last_rows();
      // <parts>
      if (runs_in_lanes(c, l)) {  // skips or not, in the decoder
        if (!lane_) lane_ = x;
        if (c.parallel_residual == ParallelResidual::kLanesInTurn && !skips.empty()) {
          lane_ = add_skip(lane_, skips.back(), encoder_blocks(c) + decoder);
        }
      }
      // </parts>
      if (decoder >= 0 && !skips.empty()) {
        x = add_skip(x, skips.back(), encoder_blocks(c) + decoder);
        skips.pop_back();
      }
      x = block(x, x0, l);
      // <parts>
      if (!c.mudd_at.empty()) x = mix_outputs(x, run);
      // </parts>
      if (c.unet_skips && decoder < 0) skips.push_back(x);
    }
    p.set_in_block(false);
    // <parts>
    if (lane_) {
      const float half = 0.5f;
      const Tensor share = p.constant("half", 1, 1, {&half, 1});
      x = p.blend(x, share, lane_, share, /*sigmoid=*/false);
    }
    // </parts>

    Tensor h = p.rmsnorm(x, 1.0f);  // [N, D]
    ParamRole head = kTokenEmbedding;
    // <parts>
    h = with_gain(h, kFinalNormGain);
    if (!c.tied_head) head = kHead;
    // </parts>
    f.logits = linear(h, head, -1, /*f32_output=*/true);  // [N, V]
    Softcap cap = static_cast<float>(c.logit_softcap);
    // <parts>
    shape(cap);
    // </parts>
    if (!options_.with_loss) {
      const LogProbTensors scored = p.softcap_log_probs(f.logits, cap);
      f.log_probs = scored.log_probs;
      f.entropy = scored.entropy;
      return f;
    }
    const std::vector<float> ones(static_cast<size_t>(options_.targets), 1.0f);
    f.target_weights = p.constant("target_weights", 1, options_.targets, ones);
    // <train_gpt>
    cap.z_loss = options_.terms.z_loss;
    // </train_gpt>
    // <parts>
    if (options_.has_row_weights) {
      const int64_t rows = batch_ * options_.last_positions;
      f.row_weights =
          p.constant("row_weights", rows, 1, std::vector<float>(static_cast<size_t>(rows), 1.0f));
    }
    // </parts>
    f.loss = p.softcap_xent(f.logits, f.targets, f.target_weights, cap, f.row_weights).loss;
    f.mean_loss = p.mean(f.loss);
    // <train_gpt>
    cap.z_loss = 0;
    for (int64_t k = 0; k < options_.terms.future_heads; ++k) {
      add_future_loss(f, p.linear(h, weight(kFutureHead, k), /*f32_output=*/true), cap);
    }
    Tensor before = h;
    for (int64_t k = 0; k < options_.terms.future_modules; ++k) {
      before = future_module(f, before, k);
      add_future_loss(f, linear(before, head, -1, /*f32_output=*/true), cap);
    }
    // </train_gpt>
    return f;
  }

 private:
  // <train_gpt>
  void begin_packed_rows(int64_t longest) {
    PG_CHECK(row_ == seq_len_ && c.paired_heads_at.empty(), "packed rows: a token is a row");
    starts_ = p.input_ids("starts", batch_ * seq_len_, 1);
    packed_ = {p.place_of(starts_), longest};
    if (c.rope_dims == 0) return;
    rope_ = p.constant("rope", longest, c.rope_dims, make_rope_table(c, longest));
  }

  // Module k of DeepSeek-V3 (arXiv:2412.19437, 2.2): the normed state of the one before, or of the
  // trunk, and the normed embedding of the token that it predicted, mapped to one state and put through
  // a block with the form of the last one and parameters of its own. Gives that one's norm.
  Tensor future_module(ForwardTensors& f, Tensor before, int64_t k) {
    f.future_ids.push_back(p.input_ids("future_ids." + std::to_string(k), batch_ * seq_len_, 1));
    const Tensor token = p.rmsnorm(p.embed(f.future_ids.back(), weight(kTokenEmbedding)), 1.0f);
    Tensor x = p.linear_add(p.linear(before, weight(kFutureState, k)), token,
                            weight(kFutureToken, k));  // [N, D]
    p.shift_layers(k + 1);
    x = block(x, x, c.layers - 1);
    p.shift_layers(0);
    return p.rmsnorm(x, 1.0f);
  }

  // The cross-entropy of a further token joins the loss: weight/K times its mean over the positions
  // whose row has it. The weight in the op makes a mean over all positions of that.
  void add_future_loss(ForwardTensors& f, Tensor logits, const Softcap& cap) {
    const auto k = static_cast<int64_t>(f.future_targets.size());
    const int64_t live = seq_len_ - 1 - k;  // of each row
    f.future_targets.push_back(
        p.input_ids("future_targets." + std::to_string(k), batch_ * seq_len_, 1));
    const auto w = static_cast<float>(options_.terms.future_weight * static_cast<double>(seq_len_) /
                                      static_cast<double>(options_.terms.future_count() * live));
    const Tensor weight = p.constant("future_weight." + std::to_string(k), 1, 1, {&w, 1});
    f.future_losses.push_back(p.softcap_xent(logits, f.future_targets.back(), weight, cap).loss);
    p.add_loss(f.future_losses.back());
  }
  // </train_gpt>

  // <parts>
  void shape(Softcap& cap) {
    if (c.softcap_form == SoftcapForm::kNone) cap.cap = 0;
    if (c.softcap_form == SoftcapForm::kAsymmetric) {
      // A sigmoid((z + B) / C) = A/2 tanh((z + B) / 2C) + A/2, whose last term no softmax sees.
      cap.shift = static_cast<float>(c.softcap_shift);
      cap.width = static_cast<float>(2 * c.softcap_width);
    }
    if (c.softcap_form == SoftcapForm::kTwoSided) p.cap_sides(weight(kLogitSides));
  }
  // </parts>

  Tensor list_last_rows() {
    std::vector<int32_t> rows;
    for (int64_t b = 0; b < batch_; ++b) {
      for (int64_t t = row_ - options_.last_positions; t < row_; ++t) {
        rows.push_back(static_cast<int32_t>(b * row_ + t));
      }
    }
    const Tensor ids = p.input_ids("last_rows", static_cast<int64_t>(rows.size()), 1);
    p.write_ids(ids, rows);
    return ids;
  }

  Tensor weight(ParamRole role, int64_t layer = -1) {
    return p.weight({.role = role, .layer = layer});
  }

  // x wT, plus (x aT) bT where the weights hold an adapter of this matrix: see adapters.h.
  Tensor linear(Tensor x, ParamRole role, int64_t layer, bool f32_output = false) {
    return adapt(p.linear(x, weight(role, layer), f32_output), x, role, layer);
  }
  // addend + linear(x).
  Tensor linear_add(Tensor addend, Tensor x, ParamRole role, int64_t layer) {
    return adapt(p.linear_add(addend, x, weight(role, layer)), x, role, layer);
  }
  Tensor adapt(Tensor y, Tensor x, ParamRole role, int64_t layer) {
    // <parts>
    const int64_t of_run = adapter_layer_of_run(c, run_);
    if (layer >= 0 && p.has_weight({role, of_run, AdapterFactor::kA})) layer = of_run;
    // </parts>
    const ParamPlace a = {role, layer, AdapterFactor::kA}, b = {role, layer, AdapterFactor::kB};
    if (!p.has_weight(a)) return y;
    // <train_gpt>
    if (batch_ > 1 && p.has_weight({role, layer, AdapterFactor::kA, 1})) {
      p.part_loss(batch_);  // each row learns from its own
      return p.add_linear_of_parts(y, p.linear_of_parts(x, list_slots(a)), list_slots(b));
    }
    // </train_gpt>
    return p.add_linear(y, p.linear(x, p.weight(a)), p.weight(b));  // [N, rank] in between
  }

  // <train_gpt>
  std::vector<Tensor> list_slots(ParamPlace place) {
    std::vector<Tensor> weights;
    for (; place.slot < batch_; ++place.slot) weights.push_back(p.weight(place));
    return weights;
  }
  // Of rows of tokens [N s, columns] those of bags [N, columns].
  Tensor average(Tensor rows) { return options_.bag > 1 ? p.mean_bags(rows, options_.bag) : rows; }
  // </train_gpt>

  // Token embedding + scaled BigramHash, RMSNorm, SmearGate.
  Tensor embed(Tensor ids) {
    Tensor x = p.embed(ids, weight(kTokenEmbedding));  // [N, D]
    // <train_gpt>
    x = average(x);
    // </train_gpt>
    if (c.bigram_buckets > 0) {
      const int64_t tokens = p.elements(ids) / batch_;
      const Tensor hashed = p.bigram_hash(ids, tokens, c.bigram_buckets);
      Tensor rows = p.embed(hashed, weight(kBigramTable));  // [N, bigram_dim]
      // <parts>
      if (c.trigram) {
        const float one = 1.0f;
        const Tensor longer = p.bigram_hash(ids, tokens, c.bigram_buckets, /*trigram=*/true);
        rows = p.add_scaled(rows, p.embed(longer, weight(kBigramTable)),
                            p.constant("one", 1, 1, {&one, 1}));
      }
      // </parts>
      // <train_gpt>
      rows = average(rows);
      // </train_gpt>
      const Tensor projected = p.linear(rows, weight(kBigramProjection));  // [N, D]
      x = p.add_scaled(x, projected, weight(kBigramScale));
    }
    // <parts>
    if (c.token_smear) {
      x = p.token_smear(x, ids, weight(kTokenSmearGate), weight(kTokenSmearScale), seq_len_,
                        c.bos_id);
    }
    // </parts>
    x = p.rmsnorm(x, 1.0f);
    if (c.smear_gate) x = p.smear(x, weight(kSmearGate), seq_len_);
    return x;
  }

  Tensor add_skip(Tensor x, Tensor skip, int64_t l) {
    // <parts>
    if (c.skip_gates) return p.gated_mix(x, skip, weight(kSkip, l), weight(kSkipGate, l));
    // </parts>
    return p.mix(x, {}, skip, weight(kSkip, l));
  }

  Tensor project_value_embedding(Tensor ids) {
    Tensor rows = p.embed(ids, weight(kValueTable));  // [N, value_embed_dim]
    // <train_gpt>
    rows = average(rows);
    // </train_gpt>
    return p.linear(rows, weight(kValueProjection));  // [N, K*S]
  }

  // x [N, D] -> [N, D]; x0 is the embedding after its norm. The last block may give fewer rows. The
  // scales of the two branches are part of the compute copies of out and down.
  Tensor block(Tensor x, Tensor x0, int64_t l) {
    const float norm_scale =
        c.ln_scale ? static_cast<float>(1.0 / std::sqrt(static_cast<double>(l + 1))) : 1.0f;
    // <parts>
    const Tensor lane = x;
    // </parts>
    Tensor n;
    if (c.resid_mix) {
      const MixNormTensors mixed =
          p.mix_rmsnorm(x, weight(kMixX, l), x0, weight(kMixX0, l), norm_scale);
      x = mixed.y;
      n = mixed.n;
    } else {
      n = p.rmsnorm(x, norm_scale);
    }
    // <parts>
    const Tensor normed = n;
    n = with_gain(n, kAttentionNormGain, l);
    value_input_ = n;
    if (value_stream_) {
      value_input_ = with_gain(p.rmsnorm(value_stream_, norm_scale), kAttentionNormGain, l);
    }
    // </parts>
    Tensor y = attention(n, l);  // [N, H*S]
    // <parts>
    if (has_adapter(kBesideAttention, l)) n = shorten(n);
    if (runs_in_lanes(c, l)) return join_lanes(lane, y, n, x0, l, norm_scale);
    // </parts>
    if (last_rows_) {
      // embed() gathers rows of any table; from here on N is batch * last_positions.
      x = p.embed(last_rows_, x);
      y = p.embed(last_rows_, y);
    }
    // <parts>
    Tensor hidden;
    if (is_parallel(c, l)) hidden = mlp(shorten(normed), l);  // both read one norm
    // </parts>
    x = linear_add(x, y, kOut, l);
    // <parts>
    x = adapt(x, n, kBesideAttention, l);
    if (hidden) {
      x = linear_add(x, hidden, kDown, l);
    } else
      // </parts>
      x = linear_add(x, mlp(p.rmsnorm(x, norm_scale), l), kDown, l);
    // <parts>
    x = adapt(x, mlp_input_, kBesideMlp, l);
    // </parts>
    return x;
  }

  // n [N, D] -> [N, F], before the down projection.
  Tensor mlp(Tensor n, int64_t l) {
    // <parts>
    n = with_gain(n, kMlpNormGain, l);
    mlp_input_ = n;
    if (c.mlp == Mlp::kSwiglu) {
      const ParamPlace places[] = {{kUp, l}, {kGate, l}};
      const Tensor both = p.linear(n, p.joined_weight(places));  // [N, 2 F]
      const Tensor up = adapt(p.columns(both, 0, c.mlp_hidden), n, kUp, l);
      const Tensor gate = adapt(p.columns(both, c.mlp_hidden, c.mlp_hidden), n, kGate, l);
      return p.swiglu(gate, up);
    }
    // </parts>
    return p.leaky_relu2(linear(n, kUp, l), static_cast<float>(c.leaky_slope));
  }
  // <parts>
  // Of all rows those that the last block may be left with.
  Tensor shorten(Tensor x) { return last_rows_ ? p.embed(last_rows_, x) : x; }

  // Two lanes (records 2026-03-31 and 04-13; formulas.md 2.6). x is the one that attention has read, of
  // which y [N, H*S] came by way of n; the MLP reads lane_. Both branches add to both lanes. Gives the
  // first one.
  Tensor join_lanes(Tensor x, Tensor y, Tensor n, Tensor x0, int64_t l, float norm_scale) {
    const bool in_turn = c.parallel_residual == ParallelResidual::kLanesInTurn;
    const auto add = [&](Tensor lane, ParamRole keep, Tensor branch, ParamRole scale) {
      const Tensor kept = keep == kNone ? Tensor{} : weight(keep, l);
      return p.blend(lane, kept, branch, weight(scale, l), /*sigmoid=*/false);
    };
    const Tensor attended = adapt(linear(shorten(y), kOut, l), n, kBesideAttention, l);
    const Tensor other = shorten(lane_);
    const Tensor first = add(shorten(x), kLaneKeep0, attended, kAttentionToLane0);
    const Tensor second =
        add(other, in_turn ? kLaneKeep0 : kLaneKeep1, attended, kAttentionToLane1);
    if (in_turn && c.resid_mix) {
      n = p.mix_rmsnorm(second, weight(kMixX, l), shorten(x0), weight(kMixX0, l), norm_scale).n;
    } else {
      n = p.rmsnorm(in_turn ? second : other, norm_scale);
    }
    const Tensor inner = mlp(n, l);
    const Tensor hidden = adapt(linear(inner, kDown, l), mlp_input_, kBesideMlp, l);
    const ParamRole keep = in_turn ? kLaneKeep1 : kNone;
    lane_ = add(second, keep, hidden, kMlpToLane1);
    return add(first, keep, hidden, kMlpToLane0);
  }
  Tensor lane_;  // the second one, once there are two

  bool has_adapter(ParamRole role, int64_t layer) const {
    return p.has_weight({role, layer, AdapterFactor::kA}) ||
           p.has_weight({role, adapter_layer_of_run(c, run_), AdapterFactor::kA});
  }
  int64_t run_ = 0;  // of blocks
  Tensor mlp_input_;

  Tensor with_gain(Tensor n, ParamRole role, int64_t layer = -1) {
    return c.norm_gains ? p.scale_columns(n, weight(role, layer)) : n;
  }
  // </parts>

  // n [N, D] -> [N, H*S], before the output projection.
  Tensor attention(Tensor n, int64_t l) {
    HeadShape q_heads{batch_, row_, c.heads, c.head_dim(), c.rope_dims};
    HeadShape k_heads{batch_, row_, c.kv_heads, c.head_dim(), c.rope_dims};
    AttentionShape shape{
        batch_,       row_,
        c.heads,      c.kv_heads,
        c.head_dim(), static_cast<float>(1.0 / std::sqrt(static_cast<double>(c.head_dim())))};
    // <parts>
    if (c.yarn_factor > 1) shape.scale *= static_cast<float>(attention_sharpness(c));
    // </parts>
    const int64_t q_dim = c.dim, kv_dim = c.kv_heads * c.head_dim();
    std::vector<ParamPlace> places = {{kQ, l}, {kK, l}, {kV, l}};
    // <parts>
    const bool are_paired = lists(c.paired_heads_at, l), is_apart = takes_values_apart(c, l);
    if (is_apart) places.pop_back();
    rope_ = are_paired ? paired_rope_ : plain_rope_;
    // </parts>
    const Tensor qkv = p.linear(n, p.joined_weight(places));  // [N, (H + 2K) S]
    const Tensor q_raw = adapt(p.columns(qkv, 0, q_dim), n, kQ, l);
    const Tensor k_raw = adapt(p.columns(qkv, q_dim, kv_dim), n, kK, l);
    // clang-format off
    Tensor v =
        // <parts>
        is_apart ? linear(value_input_, kV, l) :
        // </parts>
        adapt(p.columns(qkv, q_dim + kv_dim, kv_dim), n, kV, l);  // [N, K*S]
    // clang-format on
    // <parts>
    if (l == 0 && c.value_residual == ValueResidual::kFirstInput) first_value_ = v;
    // </parts>
    if (uses_value_embedding(c, l)) {
      v = p.add_scaled(v, value_embedding_, weight(kValueScale), weight(kBlockValueScale, l));
    }
    // <parts>
    v = add_first_value(v, l);
    q_heads.is_normed = k_heads.is_normed = c.qk_norm;
    // </parts>
    // <train_gpt>
    q_heads.packed = k_heads.packed = shape.packed = packed_;
    // </train_gpt>
    const Tensor q = p.qk_norm_rope(q_raw, q_gain(l), rope_, q_heads);
    const Tensor k = p.qk_norm_rope(k_raw, {}, rope_, k_heads);
    // clang-format off
    Tensor y =
        // <parts>
        are_paired ? p.attention_of_pairs(q, k, v, shape) :
        // </parts>
        p.attention(q, k, v, shape);  // [N, H*S]
    // clang-format on
    if (uses_xsa(c, l)) y = p.xsa(y, v, shape);
    // <parts>
    if (c.attention_gate != AttentionGate::kNone) y = gate_heads(y, n, l);
    // </parts>
    return y;
  }

  // <parts>
  Tensor plain_rope_, paired_rope_;  // rope_ is the one of the block

  // What attention gives [N, H*S], each head by a gate that the block's normed input makes.
  Tensor gate_heads(Tensor y, Tensor n, int64_t l) {
    using enum AttentionGate;
    const Tensor bias = c.attention_gate == kGated ? weight(kHeadGateBias, l) : Tensor{};
    const double scale = c.attention_gate == kSparse ? c.attention_gate_scale : 1.0;
    return p.gate_heads(y, n, weight(kHeadGate, l), bias, static_cast<float>(scale),
                        c.attention_gate == kOutput ? 2.0f : 1.0f);
  }

  // Memory tokens (parameter-golf PR #351, #375): each row of tokens begins with M rows that are
  // learned, normed as tokens are, and attended to. What reads neighbours or ids stays within the
  // tokens, whose first is still the start of a row; the last block gives the memory up, which
  // predicts nothing.
  Tensor prepend_memory(Tensor x) {
    if (value_embedding_) {
      value_embedding_ = p.prepend_zeros(value_embedding_, batch_, c.memory_tokens);
    }
    p.set_at_front(true);
    const Tensor ids = p.input_ids("memory_ids", c.memory_tokens, 1);
    std::vector<int32_t> rows;
    for (int64_t m = 0; m < c.memory_tokens; ++m) rows.push_back(static_cast<int32_t>(m));
    p.write_ids(ids, rows);
    const Tensor memory = p.rmsnorm(p.embed(ids, weight(kMemory)), 1.0f);  // [M, D]
    p.set_at_front(false);
    return p.prepend_rows(memory, x, batch_);
  }

  // MUDD (arXiv:2502.12170; formulas.md 2.6): what a run gave, x, and a mix of the embedding and what
  // all runs gave, by shares that x makes for each position. Some give the values of the next run another.
  Tensor mix_outputs(Tensor x, int64_t run) {
    outputs_.push_back(x);
    value_stream_ = {};
    if (!lists(c.mudd_at, run)) return x;
    std::vector<Tensor> sources(outputs_.end() - mudd_sources(c, run), outputs_.end());
    for (size_t i = 0; i + 1 < sources.size(); ++i) sources[i] = shorten(sources[i]);
    const Tensor hidden = p.linear(p.rmsnorm(x, 1.0f), weight(kMuddHidden, run));
    if (lists(c.mudd_value_at, run)) {
      value_stream_ =
          p.mix_layers(sources, hidden, weight(kMuddValue, run), weight(kMuddValueShare, run));
    }
    return p.mix_layers(sources, hidden, weight(kMuddStream, run), weight(kMuddStreamShare, run));
  }
  std::vector<Tensor> outputs_;        // the embedding's, then each run's
  Tensor value_stream_, value_input_;  // of the next run; what a block's values are made of

  // What the values of the first block add to those of a later one (formulas.md 2.4).
  Tensor add_first_value(Tensor v, int64_t l) {
    if (c.value_residual == ValueResidual::kNone) return v;
    if (l == 0) {
      if (!first_value_) first_value_ = v;
      return v;
    }
    const bool is_mean = c.value_residual == ValueResidual::kMean;
    return p.blend(v, is_mean ? weight(kOwnValueScale, l) : Tensor{}, first_value_,
                   weight(kFirstValueScale, l), c.value_residual == ValueResidual::kSigmoid);
  }
  Tensor first_value_;
  // </parts>

  Tensor q_gain(int64_t l) {
    // <parts>
    if (!c.q_gain) return {};
    // </parts>
    return weight(kQGain, l);
  }

  Plan& p;
  const ModelConfig& c;
  ForwardOptions options_;
  int64_t batch_, seq_len_, row_;  // row_: positions of a row, its memory too
  Tensor rope_, value_embedding_, last_rows_;
  // <train_gpt>
  Tensor starts_;  // absent: a row is one sequence
  PackedRows packed_;
  // </train_gpt>
};

}  // namespace

ForwardTensors record_forward(Plan& plan, const ModelConfig& config, int64_t batch, int64_t seq_len,
                              const ForwardOptions& options) {
  return Forward(plan, config, batch, seq_len, options).record();
}

}  // namespace pg
