// The ledger: owns the targets, asks a scorer for distributions, and adds up what the true tokens
// cost. Nothing else makes a score.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "eval/score/scorer.h"
#include "src/data/tokenizer.h"

namespace pg {

struct LedgerTotals {
  double bits = 0;        // sum over targets, f64, in stream order
  int64_t tokens = 0;     // targets
  int64_t bytes = 0;      // that the targets stand for; BOS counts 0
  int64_t documents = 0;  // BOS tokens in the stream
  double bits_per_byte() const { return bytes > 0 ? bits / static_cast<double>(bytes) : 0.0; }
  double loss_nats() const;  // mean per target
};

struct LedgerEvent {
  const Chunk* chunk = nullptr;
  const LedgerTotals* totals = nullptr;
};

constexpr int64_t kProgressTargets = 256;

// What an observer may watch while the ledger works; each may be empty. The audit's probes are
// such observers and never part of a scorer.
struct LedgerHooks {
  std::function<void(int64_t target, const TokenDistribution&)> on_distribution;
  std::function<void(int64_t target, int32_t token, double bits)> on_score;
  std::function<void(const LedgerEvent&)> on_chunk;  // after close_chunk
  // Every kProgressTargets targets of a chunk and at its end, for people who wait. May throw, which
  // ends the work.
  std::function<void(const LedgerTotals&)> on_progress;
};

class Ledger {
 public:
  // `stream`: all tokens, the first is context only. Both must outlive this. Throws Error for a
  // stream without a target and for a token that is not in the table.
  Ledger(std::span<const int32_t> stream, const ByteTable& bytes);

  // Scores the whole stream once, in the scorer's order (checked: every target exactly once,
  // ascending). Throws Error when a probability is not one: NaN, above 1 beyond rounding, or an
  // order that leaves out or repeats targets.
  LedgerTotals score(Scorer& scorer, const LedgerHooks& hooks = {}) const;
  // <train_gpt>
  // As score() with chunks that follow documents, by a scorer of several at once, which it scores side
  // by side, and of which hooks hear in that order, but for on_chunk. The totals are added up in stream
  // order all the same.
  LedgerTotals score_beside(Scorer& scorer, const LedgerHooks& hooks = {}) const;
  static void follow_beside(Scorer& scorer, std::span<const int32_t> stream);
  // </train_gpt>
  // As score(), but opens the chunk before each target with nothing but the tokens before it, as a
  // decoder must. A target then costs a row of the network where the device's rows are independent,
  // else a window.
  LedgerTotals score_as_decoder(Scorer& scorer, const LedgerHooks& hooks = {}) const;
  // What another rank does while rank 0 scores the stream: opens and closes the same chunks, and
  // asks for no distribution.
  static void follow(Scorer& scorer, std::span<const int32_t> stream);

 private:
  LedgerTotals run(Scorer& scorer, const LedgerHooks& hooks, bool as_decoder) const;
  // <train_gpt>
  // beside/ledger_beside.cpp
  struct OpenBeside {
    int64_t row = 0;
    int64_t begin = 0;  // of the document, in the stream
    Chunk chunk;        // in the document
  };
  static void walk_beside(Scorer& scorer, std::span<const int32_t> stream,
                          const std::function<void(std::span<const OpenBeside>)>& on_open);
  // </train_gpt>

  std::span<const int32_t> stream_;
  const ByteTable* bytes_;
};

}  // namespace pg
