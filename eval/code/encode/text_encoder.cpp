#include "eval/code/encode/text_encoder.h"

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
    charge(target, token);
  };
  return hooks;
}

void TextEncoder::charge(int64_t target, int32_t token) {
  encoder_.encode(table_.share(token));
  check_.add(token);
  if ((target + 1) % kCheckTokens == 0) checks_.push_back(check_.low_bits());
}

Bytes TextEncoder::finish(const Sha256& artifact_sha256, std::span<const int32_t> stream,
                          std::span<const uint8_t> correction) {
  PG_CHECK(!stream.empty(), "a text has a first token");
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
