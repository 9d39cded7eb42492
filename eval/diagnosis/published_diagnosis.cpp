// Watches the ledger, as an audit does: the cache never touches the score. Not counted code.
#include "eval/diagnosis/published_diagnosis.h"

#include <cmath>
#include <numbers>
#include <vector>

#include "eval/make_scorer.h"
#include "eval/score/ledger.h"

namespace pg {
namespace {

// A normalised value costs V lookups in 9 tables: every 16th target is enough.
constexpr int64_t kSampleEvery = 16;
// Load decides what the published arithmetic reports (formulas.md 5): 15 entries a bucket, as
// 62M tokens put into its 4,194,304.
constexpr int64_t kRandomBuckets = 65536, kRandomTokens = 15 * kRandomBuckets;

double bits_of(double probability) { return -std::log2(std::fmax(probability, 1e-300)); }

}  // namespace

PublishedDiagnosis diagnose_published_mixer(const UnpackedModel& model, const ByteTable& bytes,
                                            const TokenStream& val, const EvalConfig& config,
                                            Device& device) {
  std::vector<int32_t> stream(static_cast<size_t>(val.size()));
  val.read(0, stream);
  const int64_t vocab = model.config().vocab_size;
  PublishedMixer cache(vocab, {});
  cache.learn(stream.front());
  PublishedDiagnosis out;
  double claimed_bits = 0, sampled_network_bits = 0, sampled_bits = 0, sums = 0, weight = 0;
  LedgerHooks hooks;
  hooks.on_distribution = [&](int64_t, const TokenDistribution& distribution) {
    weight = cache.weight(static_cast<double>(distribution.network.entropy_nats));
  };
  hooks.on_score = [&](int64_t target, int32_t token, double bits) {
    const double network = std::exp2(-bits);
    claimed_bits += bits_of((1 - weight) * network + weight * cache.claimed_probability(token));
    if (target % kSampleEvery == 0) {
      const double normalised = cache.normalised_probability(token);
      sampled_network_bits += bits;
      sampled_bits += bits_of((1 - weight) * network + weight * normalised);
      sums += cache.sum_over_vocabulary();
      ++out.sampled_tokens;
    }
    cache.learn(token);
  };
  const auto scorer = make_scorer(model, config, device, val.size());
  const LedgerTotals totals = Ledger(stream, bytes).score(*scorer, hooks);
  out.network_bits_per_byte = totals.bits_per_byte();
  out.claimed_bits_per_byte = claimed_bits / static_cast<double>(totals.bytes);
  out.normalised_bits_per_byte =
      out.network_bits_per_byte * sampled_bits / std::fmax(sampled_network_bits, 1e-300);
  out.sum_over_vocabulary = sums / static_cast<double>(std::max<int64_t>(out.sampled_tokens, 1));
  out.tokens = totals.tokens;
  out.bytes = totals.bytes;
  out.random =
      published_cost_on_random_tokens(kRandomTokens, vocab, 1, {.buckets = kRandomBuckets});
  return out;
}

}  // namespace pg
