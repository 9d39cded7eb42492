// The factor alpha / rank is part of B (src/model/learning/adapters.h). AdamW does not mind the scale of a
// gradient, so training s B at the rate s lr, decay wd / s and epsilon eps / s is the published
// training of B.
#include "eval/learn/lora_learner.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>

#include "src/base/check.h"
#include "src/base/error.h"
#include "src/base/exact_math.h"
#include "src/base/hash.h"
#include "src/data/tokenizer.h"
#include "src/model/learning/adapters.h"

namespace pg {
namespace {

constexpr double kEpsilon = 1e-10;    // as published
constexpr uint64_t kAdapterSeed = 1;  // part of the method: A's start decides the score

}  // namespace

LoraLearner::LoraLearner(const TttConfig& config, const ModelConfig& model, const EvalConfig& eval,
                         int64_t stream_tokens)
    : config_(config),
      model_(model),
      adapters_(list_adapter_params(model,
                                    {
                                        .rank = config.lora_rank,
                                        .targets = parse_adapter_targets(config.lora_targets),
                                        // <parts>
                                        .per_run = config.lora_per_run,
                                        // </parts>
                                        // <train_gpt>
                                        .slots = config.documents_at_once,
                                        // </train_gpt>
                                    })),
      context_(eval.context),
      stream_tokens_(stream_tokens),
      by_document_(eval.windows == Windows::kDocument) {
  config_.gradient_leaves = 1;  // a step of adapters is one row
  if (adapters_.empty()) {
    throw Error(R"(ttt.lora_targets is empty; give some, as "q,v,head")");
  }
  if (config.lora_chunk_tokens > context_) {
    throw Error(
        fmt::format("ttt.lora_chunk_tokens is larger than eval.context: {}; give at most {}",
                    config.lora_chunk_tokens, context_));
  }
}

std::vector<ParamSpec> LoraLearner::choose_params(const ModelConfig& model) const {
  std::vector<ParamSpec> params = list_params(model);
  freeze_all(params);
  params.insert(params.end(), adapters_.begin(), adapters_.end());
  return params;
}

void LoraLearner::start(Weights& weights) {
  weights_ = &weights;
  // <parts>
  if (config_.by_document) {
    rows_ = std::make_unique<TrainingRows>(
        TrainingRows::of_last(model_, config_, weights, context_, config_.lora_chunk_tokens));
  } else
    // </parts>
    rows_ = std::make_unique<TrainingRows>(model_, config_, weights, /*rows=*/1, context_);
  for (DeviceBuffer* buffer : {&first_, &second_, &start_, &zeros_}) {
    *buffer = DeviceBuffer(weights.device(),
                           static_cast<size_t>(weights.gradient_elements()) * sizeof(float));
  }
  scalars_ = DeviceBuffer(weights.device(), sizeof steps_of_factor_);
  for (const ParamSpec& spec : adapters_) {
    // <train_gpt>
    if (spec.place.slot > 0) continue;
    // </train_gpt>
    weights.initialise(weights.find(spec.name), kAdapterSeed);
  }
  // <train_gpt>
  copy_to_slots(weights);
  // </train_gpt>
  for (const ParamRange& range : weights.layout().trained_ranges()) {
    weights.device().copy(start_.as<float>() + range.gradient_offset,
                          weights.masters() + range.offset,
                          static_cast<size_t>(range.elements) * sizeof(float));
  }
  weights.refresh_trained();
}

void LoraLearner::learn(const ScoredChunk& scored, Weights& /*weights*/) {
  PG_CHECK(rows_ != nullptr, "learn() before start()");
  const std::span<const int32_t> tokens = scored.tokens();
  const int64_t end = scored.chunk().end();
  if (end >= stream_tokens_) return;  // nothing would be scored with what it teaches
  int64_t first = scored.chunk().first;
  if (config_.lora_reset != LoraReset::kNone) {
    for (int64_t t = end - 1; t >= first; --t) {
      if (tokens[static_cast<size_t>(t)] != kBosId) continue;
      // <parts>
      if (config_.lora_queues > 1) leave_to_queue(document_, /*slot=*/0);
      // </parts>
      reset(/*keeps_a=*/config_.lora_reset == LoraReset::kWarm);
      first = t + 1;
      // <parts>
      ++document_;
      if (config_.lora_queues > 1) {
        take_from_queue(document_, /*slot=*/0);
        weights_->refresh_trained();
      }
      // </parts>
    }
  }
  // <parts>
  // By document only the last chunk of one, or of the stream, is shorter.
  if (config_.by_document && scored.chunk().count < config_.lora_chunk_tokens) return;
  // </parts>
  while (first < end) {
    const TrainingWindow window = next_window(tokens, first, end);
    // <parts>
    for (int64_t epoch = 1; epoch < config_.lora_epochs; ++epoch) train(tokens, window);
    // </parts>
    train(tokens, window);
    report_step();
    first = window.end;
  }
}

void LoraLearner::train(std::span<const int32_t> tokens, const TrainingWindow& window) {
  TrainingRows* rows = rows_.get();
  double max_norm = config_.clip_norm;
  // <parts>
  rows = &rows_for(window);
  if (!config_.lora_clipped) max_norm = 0;
  // </parts>
  rows->compute_gradient(tokens, {&window, 1}, max_norm);
  apply_step(*rows);
}

// <train_gpt>
// Adapters lie behind the model's parameters, those of a slot behind all of the slot before.
void LoraLearner::copy_to_slots(Weights& weights) const {
  const int64_t elements = weights.gradient_elements() / config_.documents_at_once;
  float* first = weights.masters() + weights.layout().trained_ranges().front().offset;
  for (int64_t slot = 1; slot < config_.documents_at_once; ++slot) {
    weights.device().copy(first + slot * elements, first,
                          static_cast<size_t>(elements) * sizeof(float));
  }
}

void LoraLearner::begin_documents(std::span<const int64_t> numbers) {
  reset(/*keeps_a=*/false);
  numbers_.assign(numbers.begin(), numbers.end());
  if (document_queues() == 0) return;
  for (size_t slot = 0; slot < numbers_.size(); ++slot) {
    if (numbers_[slot] >= 0) take_from_queue(numbers_[slot], static_cast<int64_t>(slot));
  }
  weights_->refresh_trained();
}

// As learn() for each, one window a chunk; documents that have ended, behind the others, learn nothing.
void LoraLearner::learn_beside(std::span<const ScoredChunk> scored) {
  std::vector<TrainingRows::Row> rows;
  for (size_t slot = 0; slot < scored.size(); ++slot) {
    const ScoredChunk& of = scored[slot];
    const Chunk& chunk = of.chunk();
    const bool has_ended = of.tokens().back() == kBosId;
    if (has_ended && document_queues() > 0) {
      leave_to_queue(numbers_[slot], static_cast<int64_t>(slot));
    }
    if (has_ended || chunk.count < config_.lora_chunk_tokens) continue;
    PG_CHECK(rows.size() == slot, "documents side by side end from the last on");
    rows.push_back({of.tokens(), next_window(of.tokens(), chunk.first, chunk.end())});
  }
  if (rows.empty()) return;
  TrainingRows& plan = rows_for(rows.front().window);
  for (int64_t epoch = 0; epoch < config_.lora_epochs; ++epoch) {
    plan.compute_gradients_apart(rows, config_.lora_clipped ? config_.clip_norm : 0);
    apply_step(plan);
  }
  report_step();
}
// </train_gpt>

// <parts>
// By document a window begins with its document until it is as long as the context, and a plan of its
// own length spares the rest; what only positions before the chunk's need is spared too. The length
// follows from the place in the document alone, and so do the gradient's bits.
TrainingRows& LoraLearner::rows_for(const TrainingWindow& window) {
  const int64_t length = window.end - 1 - window.begin;
  if (!config_.by_document || length == context_) return *rows_;
  const auto found = short_rows_.find(length);
  if (found != short_rows_.end()) return found->second;
  return short_rows_.emplace(length, rows_->shorten(model_, config_, length)).first->second;
}
// </parts>

TrainingWindow LoraLearner::next_window(std::span<const int32_t> tokens, int64_t first,
                                        int64_t end) const {
  const auto is_bos = [&](int64_t t) { return tokens[static_cast<size_t>(t)] == kBosId; };
  end = std::min(first + config_.lora_chunk_tokens, end);
  if (by_document_) {  // the BOS of the next document is the last target of a document
    for (int64_t t = end - 2; t >= first; --t) {
      if (is_bos(t)) end = t + 1;
    }
  }
  int64_t begin = std::max<int64_t>(end - 1 - context_, 0);
  if (by_document_) {
    for (int64_t t = first - 1; t > begin; --t) {
      if (is_bos(t)) begin = t;
    }
  }
  return {.begin = begin, .first = first, .end = end};
}

// <parts>
void LoraLearner::start_anew(const ScoredChunk& scored) {
  if (scored.tokens().back() == kBosId) ++document_;
  queues_.clear();
  reset(/*keeps_a=*/false);
}

// Adapters lie as A of a slot and B of it, those of a slot behind all of the slot before.
const ParamRange& LoraLearner::range_of_a(int64_t slot) const {
  for (const ParamRange& range : weights_->layout().trained_ranges()) {
    if (range.factor == AdapterFactor::kA && slot-- == 0) return range;
  }
  PG_CHECK(false, "no such slot");
}

void LoraLearner::leave_to_queue(int64_t document, int64_t slot) {
  const ParamRange& a = range_of_a(slot);
  const size_t bytes = static_cast<size_t>(a.elements) * sizeof(float);
  DeviceBuffer& left = queues_[document % config_.lora_queues];
  if (left.bytes() == 0) left = DeviceBuffer(weights_->device(), bytes);
  weights_->device().copy(left.data(), weights_->masters() + a.offset, bytes);
}

// Into the masters. Nothing was left before the first document of a queue.
void LoraLearner::take_from_queue(int64_t document, int64_t slot) {
  const ParamRange& a = range_of_a(slot);
  const auto found = queues_.find(document % config_.lora_queues);
  const float* const values =
      found == queues_.end() ? start_.as<float>() + a.gradient_offset : found->second.as<float>();
  weights_->device().copy(weights_->masters() + a.offset, values,
                          static_cast<size_t>(a.elements) * sizeof(float));
}
// </parts>

void LoraLearner::reset(bool keeps_a) {
  Device& device = weights_->device();
  for (const ParamRange& range : weights_->layout().trained_ranges()) {
    if (keeps_a && range.factor == AdapterFactor::kA) continue;
    device.copy(weights_->masters() + range.offset, start_.as<float>() + range.gradient_offset,
                static_cast<size_t>(range.elements) * sizeof(float));
  }
  device.copy(first_.data(), zeros_.data(), zeros_.bytes());
  device.copy(second_.data(), zeros_.data(), zeros_.bytes());
  steps_ = 0;
  weights_->refresh_trained();
}

void LoraLearner::apply_step(const TrainingRows& rows) {
  ++steps_;
  const double factor = config_.lora_alpha / static_cast<double>(config_.lora_rank);
  Device& device = weights_->device();
  for (const ParamRange& range : weights_->layout().trained_ranges()) {
    const size_t place = range.factor == AdapterFactor::kB ? 1 : 0;
    const double s = place == 1 ? factor : 1.0;
    steps_of_factor_[place] = {.lr = static_cast<float>(s * config_.lora_lr),
                               .beta1 = 0.0f,
                               .beta2 = static_cast<float>(config_.lora_beta2),
                               .epsilon = static_cast<float>(kEpsilon / s),
                               .weight_decay = static_cast<float>(config_.lora_weight_decay / s),
                               .bias1 = 1.0f,
                               .bias2 = static_cast<float>(
                                   1.0 - pow_f64(config_.lora_beta2, static_cast<double>(steps_)))};
  }
  device.upload(scalars_.data(), steps_of_factor_.data(), sizeof steps_of_factor_);
  // <train_gpt>
  for (Repetition run(device, kept_[&rows]); run.is_due();) give_step(rows);
}

void LoraLearner::give_step(const TrainingRows& rows) {
  Device& device = weights_->device();
  // </train_gpt>
  for (const ParamRange& range : weights_->layout().trained_ranges()) {
    const int64_t place = range.factor == AdapterFactor::kB ? kAdamWScalars : 0;
    const int64_t offset = range.gradient_offset;
    In clip_coefficient = rows.clip_coefficient();
    // <train_gpt>
    clip_coefficient = rows.clip_coefficient_of(offset * config_.documents_at_once /
                                                weights_->gradient_elements());
    // </train_gpt>
    device.ops().adamw(
        {weights_->masters() + range.offset, DType::kF32},
        {first_.as<float>() + offset, DType::kF32}, {second_.as<float>() + offset, DType::kF32},
        {weights_->gradients() + offset, DType::kF32}, clip_coefficient,
        {scalars_.as<float>() + place, DType::kF32}, /*cautious=*/false, range.elements);
  }
  weights_->refresh_trained();
}

// <train_gpt>
uint64_t LoraLearner::state_hash() const {
  uint64_t hash = fnv1a(std::bit_cast<std::array<uint8_t, sizeof(steps_)>>(steps_));
  if (!rows_) return hash;
  Device& device = weights_->device();
  for (const auto& [queue, left] : queues_) {
    hash = hash_floats(device, left.as<float>(), static_cast<int64_t>(left.bytes() / sizeof(float)),
                       hash);
  }
  // Without a first moment AdamW's first buffer is the last gradient, which no later step reads.
  hash = hash_floats(device, second_.as<float>(), weights_->gradient_elements(), hash);
  for (const ParamSpec& spec : adapters_) {
    hash = hash_floats(device, weights_->master(weights_->find(spec.name)), spec.elements(), hash);
  }
  return hash;
}
// </train_gpt>

}  // namespace pg
