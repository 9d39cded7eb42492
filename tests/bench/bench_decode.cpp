// Tokens per second of decoding row by row beside metering by batched windows: the CPU track's shape
// with random weights on cpu:exact, plain, with n-grams, with LoRA, and with both.
// Usage: bench_decode [tokens] [shards glob]. Random tokens without shards, on which n-grams find
// less to do.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "eval/learn/make_learner.h"
#include "eval/mix/make_mixer.h"
#include "eval/score/ledger.h"
#include "eval/score/network_scorer.h"
#include "quant/method/quantize.h"
#include "quant/method/seal.h"
#include "src/base/error.h"
#include "src/base/rng.h"
#include "src/base/threads.h"
#include "src/data/token_file.h"
#include "src/device/registry/make_device.h"
#include "src/model/model.h"

namespace pg {
namespace {

constexpr int64_t kVocab = 1024;

ModelConfig make_shape() {
  ModelConfig model;
  model.vocab_size = kVocab;
  model.layers = 5;
  model.dim = 192;
  model.heads = 3;
  model.kv_heads = 1;
  model.mlp_hidden = 576;
  model.xsa_last_n = 2;
  model.bigram_buckets = 1024;
  model.bigram_dim = 48;
  model.value_embed_dim = 0;
  model.value_embed_layers = 0;
  return model;
}

UnpackedModel make_artifact(const ModelConfig& config, Device& device) {
  Weights weights(device, list_params(config), /*with_gradients=*/false);
  weights.initialise(1);
  const std::vector<HostTensor> tensors = weights.download();
  QuantConfig quant;
  quant.scales = ScaleRule::kRowMax;
  quant.rounding = Rounding::kNearest;
  quant.fill_cap = false;
  const QuantInput input{.config = &config,
                         .weights = &tensors,
                         .tokenizer_sha256 = {},
                         .scoring_keys = {},
                         .calibration = nullptr};
  return unpack(seal(quantize(input, quant, /*code_bytes=*/0).model, quant, 0).bytes).value();
}

std::vector<int32_t> read_tokens(int64_t count, const std::string& shards) {
  std::vector<int32_t> ids(static_cast<size_t>(count));
  if (!shards.empty()) {
    const TokenStream stream = TokenStream::open(shards, kVocab);
    ids.resize(static_cast<size_t>(std::min(count, stream.size())));
    stream.read(0, ids);
    return ids;
  }
  const CounterRng rng(1, kStreamTest);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(rng.below(i, kVocab));
  return ids;
}

struct Run {
  double s = 0, bits = 0;
};

Run time_run(const UnpackedModel& model, Device& device, const std::vector<int32_t>& ids,
             MixKind mix_kind, TttKind ttt_kind, bool as_decoder) {
  const EvalConfig eval = {.context = 256, .stride = 64};
  const auto tokens = static_cast<int64_t>(ids.size());
  MixConfig mix;
  mix.kind = mix_kind;
  TttConfig ttt;
  ttt.kind = ttt_kind;
  NetworkScorer scorer(model, eval, device, make_mixer(mix, kVocab, tokens),
                       make_learner(ttt, model.config(), eval, tokens));
  ByteTable bytes;
  bytes.bytes.assign(kVocab, 1);
  bytes.leading_space.assign(kVocab, 0);
  bytes.boundary.assign(kVocab, 0);
  const Ledger ledger(ids, bytes);
  const auto start = std::chrono::steady_clock::now();
  const LedgerTotals totals = as_decoder ? ledger.score_as_decoder(scorer) : ledger.score(scorer);
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  return {taken.count(), totals.bits};
}

int run(int64_t tokens, const std::string& shards) {
  const std::unique_ptr<Device> device = make_device("cpu:exact");
  const UnpackedModel model = make_artifact(make_shape(), *device);
  const std::vector<int32_t> ids = read_tokens(tokens, shards);
  std::printf("%zu tokens, context 256, stride 64, %d threads\n", ids.size(), thread_count());
  constexpr std::pair<MixKind, TttKind> kKinds[] = {{MixKind::kNone, TttKind::kNone},
                                                    {MixKind::kLogit, TttKind::kNone},
                                                    {MixKind::kNone, TttKind::kLora},
                                                    {MixKind::kLogit, TttKind::kLora}};
  bool is_same = true;
  for (const auto& [mix, ttt] : kKinds) {
    const Run metered = time_run(model, *device, ids, mix, ttt, /*as_decoder=*/false);
    const Run decoded = time_run(model, *device, ids, mix, ttt, /*as_decoder=*/true);
    const auto count = static_cast<double>(ids.size());
    std::printf("%s%-8s  decoded %7.0f tokens/s (%.3f ms each)  metered %7.0f tokens/s\n",
                mix == MixKind::kNone ? "       " : "+mix   ", ttt == TttKind::kNone ? "" : "+lora",
                count / decoded.s, 1e3 * decoded.s / count, count / metered.s);
    is_same &= metered.bits == decoded.bits;
  }
  std::printf("bits of both: %s\n", is_same ? "equal" : "DIFFERENT");
  return is_same ? 0 : 1;
}

}  // namespace
}  // namespace pg

int main(int argc, char** argv) {
  try {
    return pg::run(argc > 1 ? std::atoll(argv[1]) : 8192, argc > 2 ? argv[2] : "");
  } catch (const pg::Error& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
