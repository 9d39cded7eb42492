// Runs a scorer under the ledger and keeps a trace: for each target a hash of the whole
// distribution, its sum, its bits, and what had been perceived before. The probes compare traces.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "eval/audit/audit.h"
#include "eval/score/ledger.h"
#include "src/base/rng.h"

namespace pg {

struct TargetTrace {
  uint64_t vector_hash = 0;  // of all V log probabilities
  double sum = 0;            // of all V probabilities
  double sum_tolerance = 0;  // what rounding of fp32 log probabilities explains
  bool is_finite = true;     // every probability a number >= 0
  double bits = 0;           // as scored
  double asked_bits = 0;     // as the vector said just before
  int64_t times_scored = 0;
  int64_t perceived_before = -1;  // targets
};

// A call that changed what it must leave alone.
struct StateBreach {
  const char* call = "";
  int64_t target = 0;
};

struct Trace {
  std::vector<TargetTrace> targets;  // [tokens]; 0 is no target
  std::vector<Chunk> order;          // that the scorer planned when the run began
  LedgerTotals totals;
  std::string refusal;  // the ledger's error; the rest then covers what came before it
  std::vector<StateBreach> hash_breaches, answer_breaches;
  int64_t state_changes = 0;  // seen in perceive and close_chunk
  int64_t hashes = 0;
};

struct TraceOptions {
  bool as_decoder = false;  // known ends before each target, and nothing lies behind it
  int64_t decoder_every =
      0;                    // before each n-th target the scorer is shown what a decoder has; 0: no
  bool ask_vectors = true;  // false: only the ledger asks
  bool ask_twice = false;   // open_chunk and predict are called twice, the answers compared
  int64_t hash_every = 0;   // 0: no state hashes
  int64_t stop_after = 0;   // last target wanted; 0: all
  // Given each distribution before its target is looked at; may fill in its token (decoding).
  std::function<void(int64_t target, const TokenDistribution&, std::span<int32_t> memory)>
      on_vector = {};
};

// Hash over the log probability of every token, through the scoring path.
uint64_t hash_distribution(const TokenDistribution& distribution);

class AuditRunner {
 public:
  AuditRunner(const AuditSubject& subject, std::span<const int32_t> text,
              const AuditOptions& options);

  const AuditSubject& subject() const { return subject_; }
  const AuditOptions& options() const { return options_; }
  std::span<const int32_t> text() const { return text_; }
  int64_t size() const { return static_cast<int64_t>(text_.size()); }
  CounterRng rng(uint64_t probe) const { return {options_.seed, probe}; }

  // The first run of the subject on the text; every probe's yardstick.
  const Trace& base();
  // A fresh scorer on `stream`. All runs share one memory, so that a scorer that kept a pointer
  // into the text sees the changed text; behind the stream it holds zeros.
  Trace run(std::span<const int32_t> stream, const TraceOptions& options = {});
  Trace run(Scorer& scorer, std::span<const int32_t> stream, const TraceOptions& options = {});
  // What the runs that follow are for, in the words of the progress.
  void name_work(std::string work) { work_ = std::move(work); }
  // Begins as BOS, then i.i.d. uniform over the vocabulary.
  const std::vector<int32_t>& random_text();

 private:
  AuditSubject subject_;
  AuditOptions options_;
  std::vector<int32_t> text_, random_text_;
  std::vector<int32_t> memory_;  // the stream of the run, zeros behind it
  std::optional<Trace> base_;
  std::string work_ = "first run";
};

// Positions spread over [first, last], the same for every call; fewer when the range is short.
std::vector<int64_t> spread_positions(int64_t first, int64_t last, int64_t count);

// A result with its reason and measures.
ProbeResult make_result(const char* id, const char* name, bool pass, std::string reason,
                        std::vector<ProbeMeasure> measures = {});
ProbeResult make_not_run(const char* id, const char* name, std::string reason);
// Not run, when the ledger refused the yardstick: V3 and V8 say why.
std::optional<ProbeResult> need_base(AuditRunner& runner, const char* id, const char* name);

// First target in [1, end) whose distribution differs; 0 when none does.
int64_t find_difference(const Trace& a, const Trace& b, int64_t end);

}  // namespace pg
