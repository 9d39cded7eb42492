// Everything that decides the shape and the forward pass of a model. The defaults are the stack of
// record 2026-03-23 (11 x 512, about 27M parameters). The artifact stores exactly these fields.
#pragma once
#include <cstdint>
#include <span>
#include <string>

#include "src/base/field.h"
#include "src/base/stored_keys.h"

namespace pg {

// <parts>
enum class Mlp : uint8_t { kLeakyRelu2, kSwiglu };
template <>
inline constexpr auto kChoiceNames<Mlp> = name_choices("leaky_relu2", "swiglu");

enum class ValueResidual : uint8_t { kNone, kMean, kSigmoid, kScalar, kFirstInput };
template <>
inline constexpr auto kChoiceNames<ValueResidual> = name_choices("none", "mean", "sigmoid",
                                                                 "scalar", "first_input");
// Which gates on what attention's heads give there are: formulas.md 2.4.
enum class AttentionGate : uint8_t { kNone, kGated, kOutput, kGatedNormal, kSparse };
template <>
inline constexpr auto kChoiceNames<AttentionGate> = name_choices("none", "gated", "output",
                                                                 "gated_normal", "sparse");
// How attention and MLP of the later blocks join the stream: formulas.md 2.6.
enum class ParallelResidual : uint8_t { kNone, kGptj, kLanes, kLanesInTurn };
template <>
inline constexpr auto kChoiceNames<ParallelResidual> = name_choices("none", "gptj", "lanes",
                                                                    "lanes_in_turn");
// How a logit z becomes the one that is scored: c tanh(z/c), z itself, A sigmoid((z + B)/C), or
// s tanh(z/s) with a learned s for positive and for negative z (AsymLogit, PR #1923).
enum class SoftcapForm : uint8_t { kSymmetric, kNone, kAsymmetric, kTwoSided };
template <>
inline constexpr auto kChoiceNames<SoftcapForm> = name_choices("symmetric", "none", "asymmetric",
                                                               "two_sided");
// Which optimizer has a small projection: AdamW, from gain 1, or Muon, from gain 1/sqrt(2 layers).
enum class ProjectionGroup : uint8_t { kAdam, kMuon };
template <>
inline constexpr auto kChoiceNames<ProjectionGroup> = name_choices("adam", "muon");
// </parts>

struct ModelConfig {
  int64_t vocab_size = 1024;
  int64_t layers = 11;
  int64_t dim = 512;
  int64_t heads = 8;
  int64_t kv_heads = 4;
  int64_t mlp_hidden = 1536;
  double leaky_slope = 0.5;
  int64_t rope_dims = 16;
  double rope_base = 10000.0;
  int64_t rope_ntk_length = 1024;
  int64_t rope_context = 0;
  double qk_gain_init = 1.5;
  bool ln_scale = true;
  int64_t xsa_last_n = 4;
  bool unet_skips = true;
  bool resid_mix = true;
  bool smear_gate = true;
  int64_t bigram_buckets = 1536;
  int64_t bigram_dim = 128;
  int64_t value_embed_dim = 128;
  int64_t value_embed_layers = 2;
  double logit_softcap = 30.0;
  double embed_init_std = 0.005;
  // What stands between these marks, here and in other sources, is only in the counted code of
  // artifacts whose model uses some of it: scripts/bundle_code.py.
  // <parts>
  bool q_gain = true;
  bool block_scales = true;
  bool qk_norm = true;
  Mlp mlp = Mlp::kLeakyRelu2;
  bool norm_gains = false;
  bool token_smear = false;
  int64_t token_smear_width = 12;
  int64_t bos_id = 1;
  bool skip_gates = false;
  ValueResidual value_residual = ValueResidual::kNone;
  std::string value_embed_at;
  SoftcapForm softcap_form = SoftcapForm::kSymmetric;
  double softcap_shift = 5.0;
  double softcap_width = 7.5;
  int64_t loop_first = 3;
  int64_t loop_last = 5;
  int64_t loop_passes = 1;
  bool tied_head = true;
  bool trigram = false;
  ProjectionGroup bigram_projection = ProjectionGroup::kAdam;
  ProjectionGroup value_projection = ProjectionGroup::kAdam;
  double yarn_factor = 1.0;
  int64_t memory_tokens = 0;
  AttentionGate attention_gate = AttentionGate::kNone;
  int64_t attention_gate_width = 12;
  double attention_gate_scale = 0.5;
  ParallelResidual parallel_residual = ParallelResidual::kNone;
  int64_t parallel_from = 7;
  std::string mudd_at;
  std::string mudd_local_at;
  std::string mudd_value_at;
  std::string paired_heads_at;
  // </parts>

  int64_t head_dim() const { return dim / heads; }
};

// clang-format off
// <parts>
// Beyond the base stack: at their defaults they are not there.
template <class Config, class Visit>
void visit_part_fields(Config& c, Visit&& visit) {
  const auto training = affecting(Affects::kTraining, visit);
  training("q_gain", c.q_gain, {.help = "learned gain of each head on normalised queries"});
  training("block_scales", c.block_scales, {
      .help = "learned per-channel scales of what attention and MLP add to the residual stream"});
  training("qk_norm", c.qk_norm, {.help = "RMSNorm of each head's queries and keys"});
  training("mlp", c.mlp, {
      .help = "leaky_relu2: LeakyReLU(up; leaky_slope)^2; swiglu: silu(gate) up, with a matrix more"});
  training("norm_gains", c.norm_gains, {
      .help = "learned per-channel gains on what the norms of blocks and the last norm give"});
  training("token_smear", c.token_smear, {
      .help = "SmearGate v2: a gate of each token adds the previous embedding, before the norm"});
  training("token_smear_width", c.token_smear_width, {.min = 1, .max = 16384,
      .help = "leading channels of a token that its token_smear gate reads"});
  training("bos_id", c.bos_id, {.min = -1, .max = 65535,
      .help = "id that begins a document, which token_smear adds nothing to; -1: none"});
  training("skip_gates", c.skip_gates, {
      .help = "U-Net skips share each channel with the stream by a learned gate"});
  training("value_residual", c.value_residual, {
      .help = "what the values v of blocks after the first take of its v1: mean l0 v1 + l1 v; "
      "sigmoid v + sigmoid(a) v1; scalar v + l v1; first_input: l v1 before its value embedding"});
  training("value_embed_at", c.value_embed_at, {.env = "VE_LAYERS",
      .help = "blocks that add the value embedding, from 0, as \"9,10\"; empty: the last "
      "value_embed_layers"});
  training("softcap_form", c.softcap_form, {.help = "logits: symmetric, c tanh(z/c) with c = "
      "logit_softcap; none; asymmetric, 2c sigmoid((z + softcap_shift)/softcap_width) (modded-nanogpt "
      "record 54 with c = 11.5); two_sided, a learned c for z > 0 and one for the others, logit_softcap "
      "at first (PR #1923)"});
  training("softcap_shift", c.softcap_shift, {.min = -1000, .max = 1000,
      .help = "of the asymmetric form"});
  training("softcap_width", c.softcap_width, {.min = 0.01, .max = 1000,
      .help = "of the asymmetric form"});
  training("loop_first", c.loop_first, {.min = 0, .max = 127, .env = "LOOP_START",
      .help = "first block, from 0, of those that run several times"});
  training("loop_last", c.loop_last, {.min = 0, .max = 127, .env = "LOOP_END",
      .help = "last block of those"});
  training("loop_passes", c.loop_passes, {.min = 1, .max = 16,
      .help = "times that blocks loop_first to loop_last run, one after another, with the same "
      "weights (depth recurrence); 1: once, as all others. The community's NUM_LOOPS + 1"});
  training("tied_head", c.tied_head, {.env = "TIE_EMBEDDINGS",
      .help = "the output head is the token embedding; false: a matrix of its own, zero at first"});
  training("trigram", c.trigram, {.env = "TRIGRAM",
      .help = "add the BigramHash table's row of the last three tokens (parameter-golf PR #1019)"});
  training("bigram_projection", c.bigram_projection, {.help = "optimizer of the BigramHash "
      "projection: adam, from gain 1, or muon, from gain 1/sqrt(2 layers)"});
  training("value_projection", c.value_projection, {.help = "the same of the value embedding's "
      "projection"});
  training("yarn_factor", c.yarn_factor, {.min = 1, .max = 1024,
      .help = "YaRN (arXiv:2309.00071): times that rope_context is longer than the context that the "
      "RoPE frequencies are for; 1 switches it off; not with rope_ntk_length"});
  training("memory_tokens", c.memory_tokens, {.min = 0, .max = 4096, .env = "NUM_MEMORY_TOKENS",
      .help = "learned rows in front of each row of tokens, which all its positions attend to and "
      "which predict nothing; without weight decay, stored in fp16"});
  training("attention_gate", c.attention_gate, {
      .help = "gate of each head on what attention gives, from the block's normed input n: gated, "
      "sigmoid(W n + b), 0.98 at first; output, 2 sigmoid(W n') (PR #1667), 1; gated_normal, "
      "sigmoid(W n) (PR #1736), about 0.5; sparse, sigmoid(s W n') (record 2026-04-27), 0.5; n' are "
      "the first attention_gate_width channels, s is attention_gate_scale"});
  training("attention_gate_width", c.attention_gate_width, {.min = 1, .max = 16384,
      .help = "channels that gates of the forms output and sparse read"});
  training("attention_gate_scale", c.attention_gate_scale, {.min = 0.01, .max = 100,
      .env = "SPARSE_ATTN_GATE_SCALE", .help = "of the form sparse, on a gate's argument"});
  training("parallel_residual", c.parallel_residual, {
      .help = "blocks from parallel_from on: gptj, attention and MLP read one norm and are added "
      "together (record 2026-04-09); lanes, each reads a stream of its own and adds to both (2026-04-13); "
      "lanes_in_turn, likewise, the MLP behind attention (2026-03-31)"});
  training("parallel_from", c.parallel_from, {.min = 0, .max = 127, .env = "PARALLEL_START_LAYER",
      .help = "first block, from 0, of those that parallel_residual is for"});
  training("mudd_at", c.mudd_at, {
      .help = "runs of blocks, from 0 and with those of loop_passes, behind which the stream is mixed "
      "with what all before gave, by shares of each position (MUDD, arXiv:2502.12170, as PR #1936): "
      "\"2,4,6,8,10,12,15,16\" there; empty: none"});
  training("mudd_local_at", c.mudd_local_at, {
      .help = "those of mudd_at that mix with the last before alone; \"2,6,10\" there"});
  training("mudd_value_at", c.mudd_value_at, {
      .help = "those of mudd_at behind which values are of a mix of their own; \"12,15\" there"});
  training("paired_heads_at", c.paired_heads_at, {
      .help = "blocks, from 0, in which heads h and h + heads/2 attend to the keys of both, interleaved, "
      "as \"0,2,5,9\" (modded-nanogpt record 58); empty: none"});
}
// </parts>
template <class Config, class Visit>
void visit_model_fields(Config& c, Visit&& visit) {
  const auto training = affecting(Affects::kTraining, visit);
  training("vocab_size", c.vocab_size, {.min = 2, .max = 65536, .env = "VOCAB_SIZE",
      .help = "tokens in the vocabulary; must match the tokenizer"});
  training("layers", c.layers, {.min = 1, .max = 128, .env = "NUM_LAYERS",
      .help = "transformer blocks"});
  training("dim", c.dim, {.min = 8, .max = 16384, .env = "MODEL_DIM",
      .help = "model width; a multiple of heads"});
  training("heads", c.heads, {.min = 1, .max = 256, .env = "NUM_HEADS", .help = "query heads"});
  training("kv_heads", c.kv_heads, {.min = 1, .max = 256, .env = "NUM_KV_HEADS",
      .help = "key/value heads (GQA); divides heads"});
  training("mlp_hidden", c.mlp_hidden, {.min = 8, .max = 65536, .help = "hidden width of the MLP"});
  training("leaky_slope", c.leaky_slope, {.min = 0, .max = 1,
      .help = "slope a of LeakyReLU(x; a)^2; 0 gives ReLU^2"});
  training("rope_dims", c.rope_dims, {.min = 0, .max = 1024, .env = "ROPE_DIMS",
      .help = "leading dimensions of a head that RoPE rotates; even, at most the head size"});
  training("rope_base", c.rope_base, {.min = 1, .max = 1e9, .env = "ROPE_BASE",
      .help = "RoPE base frequency"});
  training("rope_ntk_length", c.rope_ntk_length, {.min = 0, .max = 1 << 20, .unit = "tokens",
      .help = "for a rope_context T beyond this length the RoPE base grows by "
      "(T/length)^(R/(R-2)); 0 switches that off"});
  training("rope_context", c.rope_context, {.min = 0, .max = 1 << 20, .unit = "tokens",
      .help = "context that the RoPE base is for, whatever the length of a text; 0 in a recipe: "
      "train.seq_len"});
  training("qk_gain_init", c.qk_gain_init, {.min = 0, .max = 100, .env = "QK_GAIN_INIT",
      .help = "initial per-head gain on normalised queries"});
  training("ln_scale", c.ln_scale, {.env = "LN_SCALE",
      .help = "scale the normed input of block l by 1/sqrt(l+1)"});
  training("xsa_last_n", c.xsa_last_n, {.min = 0, .max = 128, .env = "XSA_LAST_N",
      .help = "blocks, counted from the last, with exclusive self-attention"});
  training("unet_skips", c.unet_skips, {
      .help = "learned skips from the first half of the blocks to the second"});
  training("resid_mix", c.resid_mix, {
      .help = "learned mix of the residual stream and the embedding at each block"});
  training("smear_gate", c.smear_gate, {
      .help = "learned per-channel mix with the previous position after the embedding"});
  training("bigram_buckets", c.bigram_buckets, {.min = 0, .max = 1 << 24,
      .env = "BIGRAM_VOCAB_SIZE", .help = "rows of the BigramHash table; 0 switches it off"});
  training("bigram_dim", c.bigram_dim, {.min = 1, .max = 4096, .env = "BIGRAM_DIM",
      .help = "width of a BigramHash row"});
  training("value_embed_dim", c.value_embed_dim, {.min = 0, .max = 4096, .env = "VE_DIM",
      .help = "width of the shared value-embedding table; 0 switches it off"});
  training("value_embed_layers", c.value_embed_layers, {.min = 0, .max = 128,
      .help = "blocks, counted from the last, that add the value embedding"});
  training("logit_softcap", c.logit_softcap, {.min = 0.1, .max = 1000, .env = "LOGIT_SOFTCAP",
      .help = "logits become c tanh(z/c)"});
  training("embed_init_std", c.embed_init_std, {.min = 0, .max = 1,
      .help = "standard deviation of the initial token embedding"});
  // <parts>
  visit_part_fields(c, visit);
  // </parts>
}
// clang-format on

// Of every model key, in the order of versions.
std::span<const FrozenValue> frozen_model_keys();

// Empty when the fields fit each other, else what does not and how to mend it.
std::string check_model_config(const ModelConfig& config);

}  // namespace pg
