#include "src/train/loss_targets.h"

#include <algorithm>
#include <numeric>

#include "src/base/check.h"

namespace pg {
namespace {

double bag_weight(BagWeights form, int64_t i) {
  switch (form) {
    case BagWeights::kUniform:
      return 1.0;
    case BagWeights::kPowerLaw:
      return 1.0 / static_cast<double>(i + 1);
    case BagWeights::kFirst:
      return i == 0 ? 1.0 : 0.0;
  }
  return 0.0;
}

// Of those of count_targets() the tokens that follow, the next one among them.
int64_t count_following(const TrainConfig& config) {
  return std::max(config.bag_targets, config.future_targets + 1);
}

}  // namespace

int64_t count_targets(const TrainConfig& config) {
  return count_following(config) + (config.prefix_weight > 0 ? 1 : 0);
}

LossTerms list_loss_terms(const TrainConfig& config, int64_t bag) {
  return {.future_heads = bag > 1 ? 0 : config.mtp_heads,
          .future_modules = bag > 1 ? 0 : config.mtp_modules,
          .future_weight = config.mtp_weight,
          .z_loss = static_cast<float>(config.z_loss)};
}

LossTargets::LossTargets(const TrainConfig& config, std::span<const int32_t> prefix_of)
    : config_(config),
      following_(count_following(config)),
      prefix_of_(prefix_of.begin(), prefix_of.end()) {
  PG_CHECK((config.prefix_weight > 0) == !prefix_of.empty(), "a table of prefixes, or none");
}

void LossTargets::weigh(double fraction, std::span<float> w) const {
  PG_CHECK(std::ssize(w) == count(), "weights are [n]");
  std::ranges::fill(w, 0.0f);
  w[0] = 1.0f;
  // Token superposition, its output half (Peng et al., arXiv:2605.06546, 1.1): the next s tokens as
  // one bag, sum_i g(i) CE_i / sum_i g(i), up to a fraction of training.
  if (config_.bag_targets > 1 && fraction < config_.bag_fraction) {
    double sum = 0;
    for (int64_t i = 0; i < config_.bag_targets; ++i) sum += bag_weight(config_.bag_weights, i);
    for (int64_t i = 0; i < config_.bag_targets; ++i) {
      w[static_cast<size_t>(i)] = static_cast<float>(bag_weight(config_.bag_weights, i) / sum);
    }
  }
  // Multi-token prediction by shared logits (modded-nanogpt PR #178): the k-th further token has
  // future_weight^k, and up to future_until they fade one after another, the farthest first, each in
  // an equal part of the time. With two: [1, .5, .25 -> 0], [1, .5 -> 0], [1].
  const double parts = static_cast<double>(config_.future_targets);
  double weight = 1.0;
  for (int64_t k = 1; k <= config_.future_targets; ++k) {
    const double part = fraction / config_.future_until * parts;  // 0 to `parts`
    const double left = std::clamp(parts - static_cast<double>(k) + 1.0 - part, 0.0, 1.0);
    weight *= config_.future_weight;
    w[static_cast<size_t>(k)] = static_cast<float>(left * weight);
  }
  // Prefix tokens (modded-nanogpt PR #337): full for a third of training, gone after two.
  if (!prefix_of_.empty()) {
    const double left = std::clamp(2.0 - 3.0 * fraction, 0.0, 1.0);
    w.back() = static_cast<float>(config_.prefix_weight * left);
  }
}

void LossTargets::fill(std::span<const int32_t> next, int64_t seq_len,
                       std::span<int32_t> targets) const {
  const int64_t n = count();
  PG_CHECK(targets.size() == next.size() * static_cast<size_t>(n), "targets are [rows, n]");
  for (size_t row = 0; row < next.size(); ++row) {
    const int64_t left = seq_len - static_cast<int64_t>(row) % seq_len;  // in its window
    int32_t* const of_row = targets.data() + row * static_cast<size_t>(n);
    for (int64_t i = 0; i < following_; ++i) {
      of_row[i] = i < left ? next[row + static_cast<size_t>(i)] : -1;
    }
    if (!prefix_of_.empty()) of_row[n - 1] = prefix_of_[static_cast<size_t>(next[row])];
  }
}

void LossTargets::fill_bags(std::span<const int32_t> tokens, int64_t window, std::span<int32_t> ids,
                            std::span<int32_t> targets) const {
  const auto w = static_cast<size_t>(window), s = static_cast<size_t>(config_.bag_targets);
  const auto n = static_cast<size_t>(count());
  const size_t rows = ids.size() / w;
  PG_CHECK(tokens.size() == rows * (w + s) && targets.size() == rows * w / s * n,
           "a bag follows each bag");
  std::ranges::fill(targets, -1);
  for (size_t row = 0; row < rows; ++row) {
    const auto of_row = tokens.subspan(row * (w + s), w + s);
    std::ranges::copy(of_row.first(w), ids.begin() + static_cast<std::ptrdiff_t>(row * w));
    for (size_t t = 0; t < w; ++t) targets[(row * w + t) / s * n + t % s] = of_row[s + t];
  }
}

// In the order of the texts the prefixes of one are those of its predecessor, as far as they still
// fit, and its predecessor.
std::vector<int32_t> list_prefixes(std::span<const std::string_view> texts) {
  std::vector<size_t> order(texts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return texts[a] < texts[b]; });
  std::vector<int32_t> prefixes(texts.size(), -1);
  std::vector<size_t> live;
  for (const size_t at : order) {
    while (!live.empty() && !texts[at].starts_with(texts[live.back()])) live.pop_back();
    const bool is_repeated = !live.empty() && texts[live.back()] == texts[at];
    if (is_repeated) {
      prefixes[at] = prefixes[live.back()];
    } else {
      if (!live.empty()) prefixes[at] = static_cast<int32_t>(live.back());
      if (!texts[at].empty()) live.push_back(at);
    }
  }
  return prefixes;
}

}  // namespace pg
