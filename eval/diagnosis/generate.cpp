// Every token re-runs the whole window: there is no cache of keys and values, which would be a
// second forward pass to keep equal to the first. Plans of doubling length keep short texts cheap;
// padding after the last token changes nothing before it, because the model is causal.
#include "eval/diagnosis/generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "src/base/error.h"
#include "src/base/rng.h"
#include "src/base/simd_math.h"
#include "src/model/model.h"

namespace pg {
namespace {

constexpr int64_t kShortestPlan = 32;

void check_options(const GenerateOptions& options) {
  if (options.tokens < 0) {
    throw Error(fmt::format("tokens to generate is negative: {}; give 0 or more", options.tokens));
  }
  if (options.context < 1) {
    throw Error(fmt::format("context is too small: {}; give at least 1", options.context));
  }
  if (!(options.temperature >= 0) || !std::isfinite(options.temperature)) {
    throw Error(
        fmt::format("temperature is out of range: {}; give 0 for greedy or a positive number",
                    options.temperature));
  }
  if (options.top_k < 0) {
    throw Error(fmt::format("top_k is negative: {}; give 0 for all tokens", options.top_k));
  }
  if (!(options.top_p > 0 && options.top_p <= 1)) {
    throw Error(fmt::format("top_p is out of range: {}; give a number above 0 and at most 1",
                            options.top_p));
  }
}

void check_prompt(std::span<const int32_t> prompt, int64_t vocab_size) {
  if (prompt.empty()) throw Error("prompt has no tokens; begin it with the BOS token");
  for (const int32_t id : prompt) {
    if (id < 0 || id >= vocab_size) {
      throw Error(fmt::format("prompt token is not in the vocabulary: {}; give ids below {}", id,
                              vocab_size));
    }
  }
}

// Smallest plan length that holds `tokens`: kShortestPlan doubled, but at most context.
int64_t plan_length(int64_t tokens, int64_t context) {
  int64_t length = kShortestPlan;
  while (length < tokens) length *= 2;
  return std::min(length, context);
}

}  // namespace

int32_t sample_token(std::span<const float> logits, const GenerateOptions& options,
                     double uniform) {
  const bool all_finite =
      std::all_of(logits.begin(), logits.end(), [](float logit) { return std::isfinite(logit); });
  if (logits.empty() || !all_finite) {
    throw Error(
        "logits are not finite; the artifact's weights are broken, pack another checkpoint");
  }
  if (options.temperature == 0) {
    return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  }
  std::vector<int32_t> order(logits.size());  // likeliest first
  std::iota(order.begin(), order.end(), 0);
  const auto logit_of = [&](int32_t id) { return logits[static_cast<size_t>(id)]; };
  std::stable_sort(order.begin(), order.end(),
                   [&](int32_t a, int32_t b) { return logit_of(a) > logit_of(b); });
  if (options.top_k > 0) {
    order.resize(std::min(order.size(), static_cast<size_t>(options.top_k)));
  }
  // cumulative[i]: unnormalised mass of the i + 1 likeliest; the likeliest has mass 1, so nothing
  // overflows.
  std::vector<double> cumulative(order.size());
  double mass = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    const double above = static_cast<double>(logit_of(order[i])) - logit_of(order[0]);
    cumulative[i] = mass += exp_f64(above / options.temperature);
  }
  // The first entry that reaches the wanted mass, never past the last.
  const auto reach = [&](double wanted, size_t count) {
    const auto end = cumulative.begin() + static_cast<std::ptrdiff_t>(count);
    const auto at = std::lower_bound(cumulative.begin(), end, wanted);
    return std::min(static_cast<size_t>(at - cumulative.begin()), count - 1);
  };
  const size_t kept =
      options.top_p < 1 ? reach(options.top_p * mass, order.size()) + 1 : order.size();
  // uniform lies in [0, 1): counting down from 1 keeps the wanted mass above 0, so a token of no
  // mass is never drawn.
  return order[reach((1.0 - uniform) * cumulative[kept - 1], kept)];
}

std::vector<int32_t> generate(const UnpackedModel& model, std::span<const int32_t> prompt,
                              const GenerateOptions& options, Device& device,
                              const OnTokenFn& on_token) {
  const int64_t vocab_size = model.config().vocab_size;
  check_options(options);
  check_prompt(prompt, vocab_size);

  Weights weights(device, list_params(model.config()), /*with_gradients=*/false);
  weights.upload(model.tensors());
  std::optional<ModelPlan> plan;
  const CounterRng rng(options.seed, kStreamSampling);
  std::vector<int32_t> text(prompt.begin(), prompt.end());
  std::vector<int32_t> generated, ids;
  std::vector<float> log_probs(static_cast<size_t>(vocab_size));
  for (int64_t i = 0; i < options.tokens; ++i) {
    const auto length = std::min(static_cast<int64_t>(text.size()), options.context);
    const int64_t planned = plan_length(length, options.context);
    if (!plan || plan->seq_len() != planned) {
      plan.reset();  // before the next one, so that only one arena is held
      plan.emplace(model.config(), weights, 1, planned, PlanMode::kLogProbs);
    }
    ids.assign(text.end() - length, text.end());
    ids.resize(static_cast<size_t>(planned), 0);
    plan->load(ids, {});
    plan->run();
    plan->read_log_probs(length - 1, log_probs);
    const int32_t id = sample_token(log_probs, options, rng.uniform(static_cast<uint64_t>(i)));
    text.push_back(id);
    generated.push_back(id);
    if (on_token && !on_token(id)) break;
  }
  return generated;
}

}  // namespace pg
