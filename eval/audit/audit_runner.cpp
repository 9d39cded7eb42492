#include "eval/audit/audit_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "src/base/check.h"
#include "src/base/error.h"

namespace pg {
namespace {

// Ends a run early; no Error, so that nothing mistakes it for a refusal.
struct StopRun {};

// Stands between ledger and scorer: sees every call, and shows the scorer what a decoder would
// have: a copy of the known tokens with nothing but zeros behind them.
class WatchedScorer final : public Scorer {
 public:
  WatchedScorer(Scorer& inner, const TraceOptions& options, int64_t tokens, Trace& trace)
      : inner_(inner), options_(options), trace_(trace) {
    if (options.as_decoder || options.decoder_every > 0) {
      decoder_memory_.assign(static_cast<size_t>(tokens), 0);
    }
  }

  std::vector<Chunk> plan_order(int64_t tokens) const override { return inner_.plan_order(tokens); }
  int64_t document_chunk_targets() const override { return inner_.document_chunk_targets(); }

  void open_chunk(const Chunk& chunk, std::span<const int32_t> known) override {
    if (options_.as_decoder) known = copy_for_decoder(known, known.size());
    chunk_ = chunk;
    known_ = known;
    const bool hash = options_.hash_every > 0;
    const uint64_t before = hash ? hash_state() : 0;
    if (hash && has_left_ && before != left_) breach("between calls", chunk.first);
    inner_.open_chunk(chunk, known);
    if (options_.ask_twice) inner_.open_chunk(chunk, known);
    if (hash && hash_state() != before) breach("open_chunk", chunk.first);
  }

  void predict(int64_t target, TokenDistribution& distribution) override {
    TargetTrace& t = trace_.targets.at(static_cast<size_t>(target));
    t.perceived_before = perceived_;
    const bool as_decoder = options_.decoder_every > 0 && target % options_.decoder_every == 0;
    if (as_decoder) {
      inner_.open_chunk(chunk_, copy_for_decoder(known_, static_cast<size_t>(target)));
    }
    is_decoder_view_ = as_decoder;
    const bool hash = options_.hash_every > 0 && target % options_.hash_every == 0;
    const uint64_t before = hash ? hash_state() : 0;
    inner_.predict(target, distribution);
    if (options_.ask_twice) {
      const uint64_t first = hash_distribution(distribution);
      inner_.predict(target, distribution);
      if (hash_distribution(distribution) != first) {
        trace_.answer_breaches.push_back({"predict", target});
      }
    }
    if (hash && hash_state() != before) breach("predict", target);
    state_ = before;
    has_state_ = hash;
  }

  void perceive(int64_t target, int32_t token) override {
    // What follows is metered again, the last target's distribution being of no more use.
    if (is_decoder_view_) inner_.open_chunk(chunk_, known_);
    inner_.perceive(target, token);
    ++perceived_;
    if (has_state_ && hash_state() != state_) ++trace_.state_changes;
    has_state_ = false;
  }

  void close_chunk(const ScoredChunk& scored) override {
    const bool hash = options_.hash_every > 0;
    const uint64_t before = hash ? hash_state() : 0;
    inner_.close_chunk(scored);
    if (!hash) return;
    left_ = hash_state();
    has_left_ = true;
    if (left_ != before) ++trace_.state_changes;
  }

  uint64_t state_hash() const override { return inner_.state_hash(); }

 private:
  std::span<const int32_t> copy_for_decoder(std::span<const int32_t> known, size_t count) {
    std::copy_n(known.begin(), count, decoder_memory_.begin());
    std::fill(decoder_memory_.begin() + static_cast<int64_t>(count), decoder_memory_.end(), 0);
    return std::span<const int32_t>(decoder_memory_).first(count);
  }
  uint64_t hash_state() {
    ++trace_.hashes;
    return inner_.state_hash();
  }
  void breach(const char* call, int64_t target) { trace_.hash_breaches.push_back({call, target}); }

  Scorer& inner_;
  const TraceOptions& options_;
  Trace& trace_;
  Chunk chunk_;
  std::span<const int32_t> known_;
  std::vector<int32_t> decoder_memory_;
  bool is_decoder_view_ = false;
  int64_t perceived_ = 0;
  uint64_t state_ = 0, left_ = 0;
  bool has_state_ = false, has_left_ = false;
};

// Half a unit in the last place of an fp32 of this size: log_normaliser and log_rest enter all V
// log probabilities alike, so that their rounding does not average out in the sum.
double half_ulp(float value) { return std::abs(static_cast<double>(value)) * 0x1.0p-24; }

void trace_distribution(const TokenDistribution& distribution, int32_t true_token, TargetTrace& t) {
  constexpr double kSumTolerance = 1e-6;  // of the published rule
  t.vector_hash = hash_distribution(distribution);
  t.sum = 0;
  t.is_finite = true;
  for (int32_t token = 0; token < distribution.vocab_size(); ++token) {
    const double p = std::exp(static_cast<double>(distribution.log_prob(token)));
    if (!std::isfinite(p)) t.is_finite = false;
    t.sum += p;
  }
  t.sum_tolerance = kSumTolerance + half_ulp(distribution.network.log_normaliser) +
                    half_ulp(distribution.mixed.log_rest);
  t.asked_bits = -static_cast<double>(distribution.log_prob(true_token)) / std::log(2.0);
}

}  // namespace

const char* verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPass:
      return "pass";
    case Verdict::kFail:
      return "FAIL";
    case Verdict::kNotRun:
      return "not run";
  }
  return "";
}

uint64_t hash_distribution(const TokenDistribution& distribution) {
  uint64_t hash = kFnvOffset;
  for (int32_t token = 0; token < distribution.vocab_size(); ++token) {
    hash = mix64(hash ^ std::bit_cast<uint32_t>(distribution.log_prob(token)));
  }
  return hash;
}

AuditRunner::AuditRunner(const AuditSubject& subject, std::span<const int32_t> text,
                         const AuditOptions& options)
    : subject_(subject), options_(options), text_(text.begin(), text.end()) {
  PG_CHECK(subject.make_scorer && subject.bytes != nullptr && subject.vocab_size > 1,
           "an audit needs a scorer, a byte table and a vocabulary");
  if (size() < 16) {
    throw Error(fmt::format("audit: a text of {} tokens is too short; give at least 16", size()));
  }
  const auto random = static_cast<size_t>(std::max(options.random_tokens, size()));
  memory_.assign(random + 64, 0);
}

const Trace& AuditRunner::base() {
  if (!base_) base_ = run(text_);
  return *base_;
}

Trace AuditRunner::run(std::span<const int32_t> stream, const TraceOptions& options) {
  const std::unique_ptr<Scorer> scorer = subject_.make_scorer();
  return run(*scorer, stream, options);
}

Trace AuditRunner::run(Scorer& scorer, std::span<const int32_t> stream,
                       const TraceOptions& options) {
  PG_CHECK(stream.size() <= memory_.size(), "a probe's stream is longer than its memory");
  std::fill(std::copy(stream.begin(), stream.end(), memory_.begin()), memory_.end(), 0);
  const std::span<int32_t> memory = std::span(memory_).first(stream.size());
  Trace trace;
  trace.targets.resize(stream.size());
  trace.order = scorer.plan_order(static_cast<int64_t>(stream.size()));
  WatchedScorer watched(scorer, options, static_cast<int64_t>(stream.size()), trace);
  LedgerHooks hooks;
  hooks.on_distribution = [&](int64_t target, const TokenDistribution& distribution) {
    if (options.on_vector) options.on_vector(target, distribution, memory);
    if (!options.ask_vectors) return;
    const auto t = static_cast<size_t>(target);
    trace_distribution(distribution, memory[t], trace.targets.at(t));
  };
  hooks.on_score = [&](int64_t target, int32_t, double bits) {
    TargetTrace& t = trace.targets.at(static_cast<size_t>(target));
    t.bits = bits;
    ++t.times_scored;
    if (options_.progress) {
      options_.progress(
          fmt::format("audit: {}, {} of {} targets", work_, target, stream.size() - 1));
    }
    if (target == options.stop_after) throw StopRun{};
  };
  const Ledger ledger(memory, *subject_.bytes);
  try {
    trace.totals =
        options.as_decoder ? ledger.score_as_decoder(watched, hooks) : ledger.score(watched, hooks);
  } catch (const StopRun&) {
  } catch (const Error& error) {
    trace.refusal = error.what();
  }
  return trace;
}

const std::vector<int32_t>& AuditRunner::random_text() {
  if (!random_text_.empty()) return random_text_;
  const CounterRng draw = rng(5);
  const auto count =
      static_cast<size_t>(options_.random_tokens > 0 ? options_.random_tokens : size());
  for (size_t i = 0; i < count; ++i) {
    random_text_.push_back(
        static_cast<int32_t>(draw.below(i, static_cast<uint64_t>(subject_.vocab_size))));
  }
  random_text_[0] = kBosId;
  return random_text_;
}

std::vector<int64_t> spread_positions(int64_t first, int64_t last, int64_t count) {
  std::vector<int64_t> positions;
  for (int64_t i = 0; i < count; ++i) {
    // Off every round number, so that no position falls on a chunk's edge each time.
    const int64_t at = first + (last - first) * (2 * i + 1) / (2 * count) + (i % 3);
    if (at <= last && (positions.empty() || at > positions.back())) positions.push_back(at);
  }
  return positions;
}

ProbeResult make_result(const char* id, const char* name, bool pass, std::string reason,
                        std::vector<ProbeMeasure> measures) {
  return {id, name, pass ? Verdict::kPass : Verdict::kFail, std::move(reason), std::move(measures)};
}

ProbeResult make_not_run(const char* id, const char* name, std::string reason) {
  return {id, name, Verdict::kNotRun, std::move(reason), {}};
}

std::optional<ProbeResult> need_base(AuditRunner& runner, const char* id, const char* name) {
  if (runner.base().refusal.empty()) return std::nullopt;
  return make_not_run(id, name, "the ledger refused the text: " + runner.base().refusal);
}

int64_t find_difference(const Trace& a, const Trace& b, int64_t end) {
  for (int64_t t = 1; t < end; ++t) {
    const auto i = static_cast<size_t>(t);
    if (i >= a.targets.size() || i >= b.targets.size()) break;
    if (a.targets[i].vector_hash != b.targets[i].vector_hash) return t;
  }
  return 0;
}

}  // namespace pg
