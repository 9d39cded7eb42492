#include "eval/code/encode/text_encoder.h"

#include <algorithm>

#include "src/base/check.h"

namespace pg {

TextEncoder::TextEncoder(int32_t first_token) { check_.add(first_token); }

LedgerHooks TextEncoder::hooks() {
  LedgerHooks hooks;
  hooks.on_distribution = [this](int64_t target, const TokenDistribution& distribution) {
    table_.assign(distribution);
    if (target == 1) first_table_hash_ = table_.hash();
  };
  hooks.on_score = [this](int64_t target, int32_t token, double /*bits*/) {
    charge(target, {table_.share(token), token});
  };
  return hooks;
}

// Targets of documents that are scored side by side wait for those before them.
void TextEncoder::charge(int64_t target, const Charge& charge) {
  if (target != next_) {
    const auto place = static_cast<size_t>(target);
    waiting_.resize(std::max(waiting_.size(), place + 1));
    waiting_[place] = charge;
    return;
  }
  encode(charge);
  while (static_cast<size_t>(next_) < waiting_.size()) {
    const Charge& waits = waiting_[static_cast<size_t>(next_)];
    if (waits.token < 0) break;
    encode(waits);
  }
}

void TextEncoder::encode(const Charge& charge) {
  encoder_.encode(charge.share);
  check_.add(charge.token);
  if (++next_ % kCheckTokens == 0) checks_.push_back(check_.low_bits());
}

Bytes TextEncoder::finish(const Sha256& artifact_sha256, std::span<const int32_t> stream,
                          std::span<const uint8_t> correction) {
  PG_CHECK(!stream.empty() && next_ == static_cast<int64_t>(stream.size()),
           "a text has a first token, and all others are charged for");
  const Bytes payload = stream.size() > 1 ? encoder_.finish() : Bytes();
  payload_bytes_ = static_cast<int64_t>(payload.size());
  return write_coded_text({.artifact_sha256 = artifact_sha256,
                           .tokens = static_cast<int64_t>(stream.size()),
                           .first_token = stream[0],
                           .tokens_sha256 = hash_tokens(stream),
                           .first_table_hash = first_table_hash_,
                           .checks = std::move(checks_),
                           .payload = payload,
                           .correction = correction});
}

EncodedText encode_text(Scorer& scorer, std::span<const int32_t> stream, const ByteTable& bytes,
                        const Sha256& artifact_sha256, const CodingProgressFn& progress,
                        std::span<const uint8_t> correction) {
  TextEncoder encoder(stream.empty() ? 0 : stream[0]);
  LedgerHooks hooks = encoder.hooks();
  if (progress) {
    hooks.on_progress = [&](const LedgerTotals& totals) {
      progress(totals.tokens + 1, static_cast<int64_t>(stream.size()));
    };
  }
  EncodedText result;
  if (stream.size() > 1) result.totals = Ledger(stream, bytes).score(scorer, hooks);
  result.file = encoder.finish(artifact_sha256, stream, correction);
  result.payload_bytes = encoder.payload_bytes();
  return result;
}

}  // namespace pg
