// What the tokens scored so far say about the next one: the three longest contexts seen before and
// the longest match, each as a few tokens with a mass and an escape, the mass it leaves to the
// network. So each expert is a distribution over the whole vocabulary:
//   p_j(a) = mass_j(a) + escape_j p_network(a).
//
// The escape is learnt per state of the context (its order, how often it was seen, how many
// successors it has), as secondary escape estimation does in PPMd. Continuation counts as in
// Kneser-Ney are not kept: they serve to back off to shorter contexts, and here the network is
// backed off to, which knows those better.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "eval/mix/adaptive_rate.h"
#include "eval/mix/context_counts.h"
#include "eval/mix/match_model.h"
#include "eval/mix/token_mixer.h"

namespace pg {

struct ExpertMasses {
  static constexpr int kContexts = 3, kMatch = kContexts, kExperts = kContexts + 1;
  static constexpr size_t kMaxCandidates = MixedDistribution::kMaxCandidates;

  int count = 0;  // of candidates, all distinct; entries above are zero
  std::array<int32_t, kMaxCandidates> tokens = {};
  std::array<std::array<float, kMaxCandidates>, kExperts> mass = {};  // [expert][candidate]
  std::array<float, kExperts> escape = {};                            // 1: the expert is silent

  // What a gate may look at.
  int highest_order = 0;  // seen; 0: none
  uint32_t highest_total = 0, highest_distinct = 0;
  int match_bucket = 0;
  int match_candidate = -1;  // its index; -1: no match
};

class NgramExperts {
 public:
  NgramExperts(int min_order, int max_order, int match_length, int64_t vocab_size,
               int64_t expected_tokens);

  // Valid until learn(). Const in what state_hash() covers.
  const ExpertMasses& predict();
  void learn(int32_t token);

  int64_t memory_bytes() const { return counts_.memory_bytes() + match_.memory_bytes(); }
  const ContextCounts& counts() const { return counts_; }
  // <train_gpt>
  uint64_t state_hash() const;
  // </train_gpt>

 private:
  int add_candidate(int32_t token);
  void add_context(int expert, const SeenContext& seen);
  void learn_escapes(int32_t token);

  ContextCounts counts_;
  MatchModel match_;
  std::vector<AdaptiveRate> escapes_;

  // Of the last predict().
  ExpertMasses masses_;
  bool predicted_ = false;
  std::array<size_t, ExpertMasses::kContexts> escape_states_ = {};
  struct Mark {
    uint32_t round = 0;
    int32_t candidate = 0;
  };
  std::vector<Mark> marks_;  // [V] which candidate a token is, when round is the current one
  uint32_t round_ = 0;
};

}  // namespace pg
