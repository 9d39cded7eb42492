// Mechanical probes of a scorer: each checks one rule of a legal score (issue #1017: causal,
// normalised, scored before learnt from, one pass) and trusts nothing that the scorer says. What
// they look at are the distributions that the ledger asked for.
//
// Probes run on a text of some hundred tokens; what a scorer does only later, they cannot see. The
// certificate states how far they looked.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "eval/score/scorer.h"
#include "src/base/work_progress.h"
#include "src/data/token_file.h"
#include "src/data/tokenizer.h"
#include "src/plan/weights.h"

namespace pg {

enum class Verdict : uint8_t { kPass, kFail, kNotRun };
const char* verdict_name(Verdict verdict);  // "pass", "FAIL", "not run"

struct ProbeMeasure {
  std::string name;
  double value = 0;
};

struct ProbeResult {
  std::string id;    // "V3"
  std::string name;  // "sum over the vocabulary"
  Verdict verdict = Verdict::kNotRun;
  std::string reason;  // one line
  std::vector<ProbeMeasure> measures;
};

// Every call makes a scorer in its start state.
using ScorerFactory = std::function<std::unique_ptr<Scorer>()>;

struct AuditSubject {
  ScorerFactory make_scorer;
  // With hash tables `factor` times as large; empty when there is no table (V6).
  std::function<std::unique_ptr<Scorer>(int64_t factor)> make_resized;
  int64_t vocab_size = 0;
  const ByteTable* bytes = nullptr;  // that the score is charged by
  // Bytes of a stream's targets, counted by other means than `bytes`; empty: not checked (V8).
  std::function<int64_t(std::span<const int32_t> stream)> recount_bytes;
};

struct AuditOptions {
  uint64_t seed = 1;
  int64_t cuts = 6;             // V1: suffixes replaced
  int64_t substitutions = 6;    // V2: targets whose token is replaced ...
  int64_t substitutes = 3;      // ... by so many others each
  int64_t random_tokens = 0;    // V5; 0: as many as the text has
  int64_t decoder_views = 64;   // V9: targets priced with what a decoder has, over the whole text
  int64_t decode_tokens = 128;  // V9: really decoded
  int64_t hash_every = 7;       // V7: hash the state around every n-th prediction
  int64_t size_factor = 256;
  WorkProgressFn progress = {};  // must not throw
};

class AuditRunner;  // audit_runner.h: runs a subject and keeps what all probes compare with

ProbeResult probe_suffix_mutation(AuditRunner& runner);      // V1
ProbeResult probe_target_substitution(AuditRunner& runner);  // V2
ProbeResult probe_vocabulary_sum(AuditRunner& runner);       // V3
ProbeResult probe_byte_level(AuditRunner& runner);           // V4: not applicable to token scorers
ProbeResult probe_random_stream(AuditRunner& runner);        // V5
ProbeResult probe_bucket_scaling(AuditRunner& runner);       // V6
ProbeResult probe_state_hash(AuditRunner& runner);           // V7
ProbeResult probe_coverage(AuditRunner& runner);             // V8
ProbeResult probe_decode(AuditRunner& runner);               // V9
ProbeResult probe_order(AuditRunner& runner);                // V10
// Beyond the published list:
ProbeResult probe_repeat(AuditRunner& runner);          // V14: two runs agree bitwise
ProbeResult probe_stable_answers(AuditRunner& runner);  // V15: asking more often changes nothing
ProbeResult probe_isolation(AuditRunner& runner);       // V16: other instances leave no trace

// V1 to V10 and V14 to V16 in this order. `text`: a short stream, the first token is context only.
std::vector<ProbeResult> audit_scorer(const AuditSubject& subject, std::span<const int32_t> text,
                                      const AuditOptions& options = {});

// V11. Times in seconds; what was not measured is negative and makes the probe "not run".
struct AuditBudget {
  double train_s = -1;       // to the last step, by the wall clock
  double calibration_s = 0;  // after it, on training data
  double eval_s = -1;
  double train_cap_s = 600, eval_cap_s = 600;
  int64_t code_bytes = 0, model_bytes = 0, cap_bytes = 16'000'000;
  std::vector<double> step_times_s;  // elapsed at each step, must not go backwards; may be empty
};
ProbeResult probe_budget(const AuditBudget& budget);

// V12. No document of val may stand in train, and few of its token runs as long as 13 words.
ProbeResult probe_overlap(const TokenStream& train, const TokenStream& val, const ByteTable& bytes);

// V13. `scored`: what a fresh scorer computes with; `artifact`: unpacked from the file. Bitwise;
// behind the artifact's tensors may stand adapters that start as nothing.
ProbeResult probe_weights(std::span<const HostTensor> scored, std::span<const HostTensor> artifact);

// Fail if one probe failed; not run if none was run.
Verdict combine_verdicts(std::span<const ProbeResult> probes);

}  // namespace pg
