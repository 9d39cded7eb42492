// Sums the losses of the sliding windows in fp64 and in stream order, so that the score is one
// number for any batch size and thread count, and charges the bytes by the tokenizer's table.
#include "eval/score.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "eval/sliding_window.h"
#include "src/base/check.h"
#include "src/base/error.h"

namespace pg {
namespace {

// A probability of 1 may come out of the fp32 softmax a few roundings above it; anything lower is
// no rounding.
constexpr float kLeastLossNats = -1e-5f;

struct LossTotals {
  double nats = 0;
  int64_t tokens = 0, bytes = 0, documents = 0, windows = 0;

  double bits() const { return nats / std::numbers::ln2; }
  double mean_nats() const { return nats / static_cast<double>(tokens); }
  double bits_per_byte() const { return bytes > 0 ? bits() / static_cast<double>(bytes) : 0.0; }
};

void add_window(const ByteTable& bytes, const WindowLosses& window, LossTotals& totals) {
  for (size_t i = 0; i < window.losses.size(); ++i) {
    const float loss = window.losses[i];
    if (!std::isfinite(loss) || loss < kLeastLossNats) {
      throw Error(fmt::format(
          "loss of validation target {} is not that of a probability: {} nats; the weights are "
          "broken, pack another checkpoint",
          window.first_target + static_cast<int64_t>(i), loss));
    }
    totals.nats += static_cast<double>(loss);
    totals.bytes += bytes.target_bytes(window.previous[i], window.targets[i]);
    if (window.targets[i] == kBosId) ++totals.documents;
  }
  totals.tokens += static_cast<int64_t>(window.losses.size());
}

void check_byte_table(const ByteTable& bytes, int64_t vocab_size) {
  const auto entries = static_cast<int64_t>(bytes.bytes.size());
  if (entries != vocab_size) {
    throw Error(fmt::format(
        "tokenizer does not fit the model: {} pieces against vocab_size {}; use the tokenizer that "
        "the model was trained with",
        entries, vocab_size));
  }
  PG_CHECK(bytes.leading_space.size() == bytes.bytes.size() &&
               bytes.boundary.size() == bytes.bytes.size(),
           "the columns of a byte table differ in length");
}

LossTotals sum_losses(const ModelConfig& model, const std::vector<HostTensor>& tensors,
                      const ByteTable& bytes, const TokenStream& val, const EvalConfig& config,
                      Device& device, const EvalProgressFn& progress) {
  check_byte_table(bytes, model.vocab_size);
  LossTotals totals;
  LossSink sink;
  sink.on_window = [&](const WindowLosses& window) {
    if (window.first_target == 0 && window.previous[0] == kBosId) ++totals.documents;
    add_window(bytes, window, totals);
  };
  if (progress) {
    sink.on_batch = [&] {
      progress({.tokens_done = totals.tokens,
                .tokens_total = val.size() - 1,
                .bits_per_byte = totals.bits_per_byte()});
    };
  }
  totals.windows = score_windows(model, tensors, val, config, device, sink);
  PG_CHECK(totals.tokens == val.size() - 1, "every target is scored exactly once");
  if (totals.bytes == 0) {
    throw Error(
        fmt::format("validation stream stands for no bytes: {} tokens; give shards that hold text "
                    "in this tokenizer's ids",
                    val.size()));
  }
  return totals;
}

}  // namespace

Score evaluate(const UnpackedModel& model, const ByteTable& bytes, const TokenStream& val,
               const EvalConfig& config, Device& device, Clock& clock,
               const EvalProgressFn& progress) {
  const double start_s = clock.now_s();
  const LossTotals totals =
      sum_losses(model.config(), model.tensors(), bytes, val, config, device, progress);
  Score score;
  score.loss_nats_ = totals.mean_nats();
  score.bits_per_byte_ = totals.bits_per_byte();
  score.bits_ = totals.bits();
  score.tokens_ = totals.tokens;
  score.bytes_ = totals.bytes;
  score.documents_ = totals.documents;
  score.windows_ = totals.windows;
  score.eval_s_ = clock.now_s() - start_s;
  return score;
}

DiagnosticLoss diagnose_loss(const ModelConfig& model, const std::vector<HostTensor>& tensors,
                             const ByteTable& bytes, const TokenStream& val,
                             const EvalConfig& config, Device& device, Clock& clock,
                             const EvalProgressFn& progress) {
  const double start_s = clock.now_s();
  const LossTotals totals = sum_losses(model, tensors, bytes, val, config, device, progress);
  return {.diagnostic_loss_nats = totals.mean_nats(),
          .diagnostic_bits_per_byte = totals.bits_per_byte(),
          .tokens = totals.tokens,
          .bytes = totals.bytes,
          .eval_s = clock.now_s() - start_s};
}

void check_tokenizer(const UnpackedModel& model, const Tokenizer& tokenizer) {
  if (model.tokenizer_sha256() == tokenizer.sha256()) return;
  throw Error(fmt::format(
      "tokenizer is not the one of the artifact: sha256 \"{}\" given, \"{}\" in the artifact; pass "
      "the model file that the artifact was trained with",
      hex(tokenizer.sha256()), hex(model.tokenizer_sha256())));
}

}  // namespace pg
