// Frauds with state, order and bytes.
#include <algorithm>
#include <chrono>
#include <cmath>

#include "tests/eval/zoo/exhibits.h"

namespace pg {
namespace {

// Every target is planned twice; the second score is the one after training on the first.
class TwoPasses final : public CountScorer {
  std::vector<Chunk> plan_order(int64_t tokens) const override {
    std::vector<Chunk> chunks = CountScorer::plan_order(tokens);
    const std::vector<Chunk> again = chunks;
    chunks.insert(chunks.end(), again.begin(), again.end());
    return chunks;
  }
};

// Sliding windows that all score their last 24 targets, the short ones at the end included.
class DuplicateTail final : public CountScorer {
  std::vector<Chunk> plan_order(int64_t tokens) const override {
    std::vector<Chunk> chunks = CountScorer::plan_order(tokens);
    chunks.push_back({std::max<int64_t>(1, tokens - 3), std::min<int64_t>(3, tokens - 1)});
    return chunks;
  }
};

// The first target of every chunk is left out: it has the least context.
class SkippedTargets final : public CountScorer {
  std::vector<Chunk> plan_order(int64_t tokens) const override {
    std::vector<Chunk> chunks = CountScorer::plan_order(tokens);
    for (Chunk& chunk : chunks) {
      if (chunk.count > 1) ++chunk.first, --chunk.count;
    }
    return chunks;
  }
};

// Drops what does not fill a chunk.
class DroppedTail final : public CountScorer {
  std::vector<Chunk> plan_order(int64_t tokens) const override {
    std::vector<Chunk> chunks = CountScorer::plan_order(tokens);
    if (chunks.size() > 1) chunks.pop_back();
    return chunks;
  }
};

// Longest documents first, and the weights go along: each chunk in itself is causal.
class DescendingOrder final : public CountScorer {
  std::vector<Chunk> plan_order(int64_t tokens) const override {
    std::vector<Chunk> chunks = CountScorer::plan_order(tokens);
    std::reverse(chunks.begin(), chunks.end());
    return chunks;
  }
};

// Announces one order and takes another the next time it is asked.
class ChangingOrder final : public CountScorer {
  std::vector<Chunk> plan_order(int64_t tokens) const override {
    CountScorer other(chunk_targets_ + (asked_++ % 2));
    return other.plan_order(tokens);
  }
  mutable int64_t asked_ = 0;
};

// Counts the chunk before it is scored, from the tokens that the network may see.
class LearnsBeforeScoring : public CountScorer {
 public:
  void open_chunk(const Chunk& chunk, std::span<const int32_t> known) override {
    CountScorer::open_chunk(chunk, known);
    for (size_t i = static_cast<size_t>(chunk.first); i < known.size(); ++i) {
      counts_[static_cast<size_t>(known[i - 1]) * kZooVocab + static_cast<size_t>(known[i])] += 1;
    }
  }
};

// The same, with a hash that keeps still about it.
class LearnsSilently final : public LearnsBeforeScoring {
  uint64_t state_hash() const override { return history_.size(); }
};

// Predicting is learning: each answer strengthens itself.
class ChangedByPredict final : public CountScorer {
  void fill_logits(int64_t target) override {
    CountScorer::fill_logits(target);
    counts_[static_cast<size_t>(token_at(target - 1)) * kZooVocab + 5] += 1;
  }
};

// Who asks again gets another distribution.
class AnswersDrift final : public CountScorer {
  void fill_logits(int64_t target) override {
    CountScorer::fill_logits(target);
    if (target == last_) {
      for (float& logit : logits_) logit *= 1.5f;
    }
    last_ = target;
  }
  int64_t last_ = 0;
};

// Shows one distribution and lets another one be scored: it changes behind the ledger's back when
// the whole vocabulary was asked for.
class RaceAgainstTheClock final : public CountScorer {
  void fill_logits(int64_t target) override {
    CountScorer::fill_logits(target);
    const auto ticks = std::chrono::steady_clock::now().time_since_epoch().count();
    for (float& logit : logits_) logit *= 1.0f + 1e-4f * static_cast<float>(ticks % 997);
  }
};

// Tables keyed by where an object happens to lie.
class DependsOnInstance final : public CountScorer {
 public:
  DependsOnInstance() {
    static int64_t made = 0;
    salt_ = static_cast<float>(made++);
  }

 private:
  void fill_logits(int64_t target) override {
    CountScorer::fill_logits(target);
    logits_[7] += 0.01f * salt_;
  }
  float salt_ = 0;
};

// Trains on the validation text in one run and scores in the next: the counts outlive the scorer.
class CountsOutliveScorer final : public CountScorer {
  static std::vector<float>& counts() {
    static std::vector<float> kept(kZooVocab * kZooVocab);
    return kept;
  }
  void fill_logits(int64_t target) override {
    CountScorer::fill_logits(target);
    const size_t row = static_cast<size_t>(token_at(target - 1)) * kZooVocab;
    for (size_t a = 0; a < kZooVocab; ++a) logits_[a] += 0.5f * std::log1p(counts()[row + a]);
  }
  void close_chunk(const ScoredChunk& scored) override {
    const auto tokens = scored.tokens();
    for (size_t i = static_cast<size_t>(scored.chunk().first); i < tokens.size(); ++i) {
      counts()[static_cast<size_t>(tokens[i - 1]) * kZooVocab + static_cast<size_t>(tokens[i])] +=
          1;
    }
  }
};

// A cache of an earlier run's hardest targets, keyed by context, used when the context comes again.
class CacheOutlivesScorer final : public CountScorer {
  static std::vector<int32_t>& last_after() {
    static std::vector<int32_t> kept(kZooVocab, -1);
    return kept;
  }
  void fill_logits(int64_t target) override {
    CountScorer::fill_logits(target);
    const int32_t hint = last_after()[static_cast<size_t>(token_at(target - 1))];
    if (hint >= 0) logits_[static_cast<size_t>(hint)] += 0.5f;
  }
  void perceive(int64_t target, int32_t token) override {
    last_after()[static_cast<size_t>(token_at(target - 1))] = token;
    CountScorer::perceive(target, token);
  }
};

Exhibit make_wrong_bytes(const char* name, int64_t extra_on_bos, double factor) {
  // Charged by another table than the tokenizer's.
  static std::vector<std::unique_ptr<ByteTable>> tables;
  auto table = std::make_unique<ByteTable>(make_zoo_bytes());
  table->bytes[kBosId] = static_cast<uint16_t>(table->bytes[kBosId] + extra_on_bos);
  for (uint16_t& bytes : table->bytes) {
    bytes = static_cast<uint16_t>(static_cast<double>(bytes) * factor);
  }
  Exhibit exhibit = make_exhibit<CountScorer>(name, "V8");
  exhibit.subject.bytes = table.get();
  tables.push_back(std::move(table));
  return exhibit;
}

}  // namespace

void append_bookkeeping_frauds(std::vector<Exhibit>& zoo) {
  zoo.push_back(make_exhibit<TwoPasses>("two_pass_rescoring", "V8"));
  zoo.push_back(make_exhibit<DuplicateTail>("duplicate_tail_windows", "V8"));
  zoo.push_back(make_exhibit<SkippedTargets>("skipped_targets", "V8"));
  zoo.push_back(make_exhibit<DroppedTail>("dropped_tail", "V8"));
  zoo.push_back(make_wrong_bytes("bytes_counted_on_bos", 1, 1.0));
  zoo.push_back(make_wrong_bytes("denominator_doubled", 0, 2.0));
  zoo.push_back(make_exhibit<DescendingOrder>("descending_order", "V10"));
  zoo.push_back(make_exhibit<ChangingOrder>("order_other_than_planned", "V10"));
  zoo.push_back(make_exhibit<LearnsBeforeScoring>("learns_before_scoring", "V7"));
  zoo.push_back(make_exhibit<LearnsSilently>("learns_before_scoring_hash_lies", "V9"));
  zoo.push_back(make_exhibit<ChangedByPredict>("state_changed_by_predict", "V7"));
  zoo.push_back(make_exhibit<AnswersDrift>("answers_depend_on_questions", "V15"));
  zoo.push_back(make_exhibit<RaceAgainstTheClock>("depends_on_the_clock", "V14"));
  zoo.push_back(make_exhibit<DependsOnInstance>("depends_on_the_instance", "V14"));
  zoo.push_back(make_exhibit<CountsOutliveScorer>("trained_on_val_in_an_earlier_run", "V16"));
  zoo.push_back(make_exhibit<CacheOutlivesScorer>("cache_of_an_earlier_run", "V16"));
}

}  // namespace pg
