// What a position's loss counts: the next token, and by recipe some tokens after it or the longest
// vocabulary entry that the next token begins with, each with a weight. All of them are scored by the
// same logits, so they cost no parameter and no product: loss = sum_i w_i (lse - c[y_i]), in one pass
// of Ops::softcap_xent.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "src/model/forward.h"
#include "src/train/train_config.h"

namespace pg {

// Tokens that a position predicts, n.
int64_t count_targets(const TrainConfig& config);

// Further tokens are those of a position that reads one token: while bags are read, their heads and
// modules rest.
LossTerms list_loss_terms(const TrainConfig& config, int64_t bag);

class LossTargets {
 public:
  // prefix_of: [vocab], as list_prefixes() gives it; empty where train.prefix_weight is 0.
  explicit LossTargets(const TrainConfig& config, std::span<const int32_t> prefix_of = {});

  int64_t count() const { return count_targets(config_); }  // n
  // Sets the weights [n] when `fraction` of training, in [0, 1], is done. They need not add up to 1.
  void weigh(double fraction, std::span<float> weights) const;
  // targets[rows, seq_len, n] of next[rows, seq_len], the ids one further on; -1, which a loss
  // leaves out, where a target lies behind its row's end or does not exist.
  void fill(std::span<const int32_t> next, int64_t seq_len, std::span<int32_t> targets) const;

  // Where positions read bags of s = bag_targets tokens: ids [rows, window] and targets
  // [rows, window / s, n], the bag after each, of tokens[rows, window + s].
  void fill_bags(std::span<const int32_t> tokens, int64_t window, std::span<int32_t> ids,
                 std::span<int32_t> targets) const;

 private:
  TrainConfig config_;
  int64_t following_;  // tokens that a position predicts, the next one among them
  std::vector<int32_t> prefix_of_;
};

// Of each text its longest proper prefix that is another of the texts, by index; -1 where there is
// none. Of equal texts only the first is a prefix of others.
std::vector<int32_t> list_prefixes(std::span<const std::string_view> texts);

}  // namespace pg
