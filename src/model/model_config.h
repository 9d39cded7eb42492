// Everything that decides the shape and the forward pass of a model. The defaults are the stack of
// record 2026-03-23 (11 x 512, about 27M parameters). The artifact header carries exactly these
// fields.
#pragma once
#include <cstdint>
#include <string>

#include "src/base/field.h"

namespace pg {

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

  int64_t head_dim() const { return dim / heads; }
};

template <class Config, class Visit>
void visit_model_fields(Config& c, Visit&& visit) {
  visit(FieldInfo{.key = "vocab_size",
                  .help = "tokens in the vocabulary; must match the tokenizer",
                  .environment = "VOCAB_SIZE",
                  .min = 2,
                  .max = 65536},
        c.vocab_size);
  visit(FieldInfo{.key = "layers",
                  .help = "transformer blocks",
                  .environment = "NUM_LAYERS",
                  .min = 1,
                  .max = 128},
        c.layers);
  visit(FieldInfo{.key = "dim",
                  .help = "model width; a multiple of heads",
                  .environment = "MODEL_DIM",
                  .min = 8,
                  .max = 16384},
        c.dim);
  visit(
      FieldInfo{
          .key = "heads", .help = "query heads", .environment = "NUM_HEADS", .min = 1, .max = 256},
      c.heads);
  visit(FieldInfo{.key = "kv_heads",
                  .help = "key/value heads (GQA); divides heads",
                  .environment = "NUM_KV_HEADS",
                  .min = 1,
                  .max = 256},
        c.kv_heads);
  visit(FieldInfo{.key = "mlp_hidden", .help = "hidden width of the MLP", .min = 8, .max = 65536},
        c.mlp_hidden);
  visit(FieldInfo{.key = "leaky_slope",
                  .help = "slope a of LeakyReLU(x; a)^2; 0 gives ReLU^2",
                  .min = 0,
                  .max = 1},
        c.leaky_slope);
  visit(FieldInfo{.key = "rope_dims",
                  .help =
                      "leading dimensions of a head that RoPE rotates; even, at most the head size",
                  .environment = "ROPE_DIMS",
                  .min = 0,
                  .max = 1024},
        c.rope_dims);
  visit(FieldInfo{.key = "rope_base",
                  .help = "RoPE base frequency",
                  .environment = "ROPE_BASE",
                  .min = 1,
                  .max = 1e9},
        c.rope_base);
  visit(FieldInfo{.key = "rope_ntk_length",
                  .help = "beyond this context the RoPE base grows by (T/length)^(R/(R-2)); 0 "
                          "switches that off",
                  .unit = "tokens",
                  .min = 0,
                  .max = 1 << 20},
        c.rope_ntk_length);
  visit(FieldInfo{.key = "qk_gain_init",
                  .help = "initial per-head gain on normalised queries",
                  .environment = "QK_GAIN_INIT",
                  .min = 0,
                  .max = 100},
        c.qk_gain_init);
  visit(FieldInfo{.key = "ln_scale",
                  .help = "scale the normed input of block l by 1/sqrt(l+1)",
                  .environment = "LN_SCALE"},
        c.ln_scale);
  visit(FieldInfo{.key = "xsa_last_n",
                  .help = "blocks, counted from the last, with exclusive self-attention",
                  .environment = "XSA_LAST_N",
                  .min = 0,
                  .max = 128},
        c.xsa_last_n);
  visit(FieldInfo{.key = "unet_skips",
                  .help = "learned skips from the first half of the blocks to the second"},
        c.unet_skips);
  visit(FieldInfo{.key = "resid_mix",
                  .help = "learned mix of the residual stream and the embedding at each block"},
        c.resid_mix);
  visit(FieldInfo{.key = "smear_gate",
                  .help = "learned per-channel mix with the previous position after the embedding"},
        c.smear_gate);
  visit(FieldInfo{.key = "bigram_buckets",
                  .help = "rows of the BigramHash table; 0 switches it off",
                  .environment = "BIGRAM_VOCAB_SIZE",
                  .min = 0,
                  .max = 1 << 24},
        c.bigram_buckets);
  visit(FieldInfo{.key = "bigram_dim",
                  .help = "width of a BigramHash row",
                  .environment = "BIGRAM_DIM",
                  .min = 1,
                  .max = 4096},
        c.bigram_dim);
  visit(FieldInfo{.key = "value_embed_dim",
                  .help = "width of the shared value-embedding table; 0 switches it off",
                  .environment = "VE_DIM",
                  .min = 0,
                  .max = 4096},
        c.value_embed_dim);
  visit(FieldInfo{.key = "value_embed_layers",
                  .help = "blocks, counted from the last, that add the value embedding",
                  .min = 0,
                  .max = 128},
        c.value_embed_layers);
  visit(FieldInfo{.key = "logit_softcap",
                  .help = "logits become c tanh(z/c)",
                  .environment = "LOGIT_SOFTCAP",
                  .min = 0.1,
                  .max = 1000},
        c.logit_softcap);
  visit(FieldInfo{.key = "embed_init_std",
                  .help = "standard deviation of the initial token embedding",
                  .min = 0,
                  .max = 1},
        c.embed_init_std);
}

// Empty when the fields fit each other, else what does not and how to mend it.
std::string check_model_config(const ModelConfig& config);

}  // namespace pg
