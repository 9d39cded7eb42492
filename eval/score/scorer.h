// The contract between what predicts and what counts. The ledger owns the targets; a scorer gives a
// full probability distribution for one, is told the token, and may then learn.
//
// Per chunk of consecutive targets, in the scorer's own static order:
//   open_chunk(chunk, known)    network pass over what is known
//   predict(t), perceive(t)     target by target, in order
//   close_chunk(scored)         learning from what has been scored: test-time training
//
// Metered: open_chunk is called once a chunk with every token before its last target (teacher
// forcing). Decoded: it is called before each target with the tokens before that target and no
// others, because the decoder has no others. Both must give bitwise equal distributions, so a row
// may depend only on the tokens before its target.
#pragma once
#include <cstdint>
// <train_gpt>
#include <limits>
// </train_gpt>
#include <span>
#include <vector>

#include "eval/mix/token_mixer.h"

namespace pg {

// The targets that are scored between two chances to learn: first, first + 1, ... A target is a
// place, never a token: target t is position t of the stream, t >= 1.
struct Chunk {
  int64_t first = 1, count = 0;
  int64_t end() const { return first + count; }
};

// The distribution of one target. Valid until the next call of the scorer that gave it.
struct TokenDistribution {
  NetworkDistribution network;
  MixedDistribution mixed;

  int64_t vocab_size() const { return static_cast<int64_t>(network.logits.size()); }
  // The one path by which a score, a sum over the vocabulary and a coder see a probability; nats.
  float log_prob(int32_t token) const { return mixed.log_prob(network, token); }
};

// Tokens whose scores are already in the ledger (law L4). Only the ledger makes one, and the
// decoder, which has no tokens but those it has decoded.
class ScoredChunk {
 public:
  const Chunk& chunk() const { return chunk_; }
  // All tokens before chunk().end(): the chunk itself and what came before it.
  std::span<const int32_t> tokens() const { return tokens_; }

 private:
  friend class Ledger;
  friend class TextDecoder;
  ScoredChunk(Chunk chunk, std::span<const int32_t> tokens) : chunk_(chunk), tokens_(tokens) {}
  Chunk chunk_;
  std::span<const int32_t> tokens_;
};

// <train_gpt>
// Where documents are scored side by side: in rows 0, 1, ..., those of rank 0 first. With queues
// document i of the text takes up what document i - queues left, on the same rank: rank_of(i).
struct DocumentRows {
  int64_t ranks = 1, of_a_rank = 1;
  int64_t queues = 0;  // 0: no document takes anything up
  int64_t count() const { return ranks * of_a_rank; }
  int64_t rank_of(int64_t document) const { return document % queues % ranks; }
};

// A document that is scored beside others, as if it were a text of its own: targets and tokens count
// from its first. `known` holds the tokens before the open chunk's last target.
struct OpenDocument {
  int64_t row = 0;
  Chunk chunk;
  std::span<const int32_t> known;
};
// </train_gpt>

class Scorer {
 public:
  virtual ~Scorer() = default;
  // The order of scoring for a stream of `tokens` tokens: every target 1 <= t < tokens exactly
  // once, ascending. It depends on nothing but the length.
  virtual std::vector<Chunk> plan_order(int64_t tokens) const = 0;
  // <parts>
  // Above 0: chunks follow the documents (document_chunks.h). Each has so many targets, or ends
  // before, behind the BOS of the next document as soon as that is scored; plan_order() is then that
  // of a text of one document.
  virtual int64_t document_chunk_targets() const { return 0; }
  // </parts>
  // known: the stream's first tokens; targets up to known.size() can be predicted afterwards. They
  // stay where they are until the chunk is closed or opened again.
  virtual void open_chunk(const Chunk& chunk, std::span<const int32_t> known) = 0;
  virtual void predict(int64_t target, TokenDistribution& distribution) = 0;
  // The token of the target that was just scored.
  virtual void perceive(int64_t target, int32_t token) = 0;
  virtual void close_chunk(const ScoredChunk& scored) = 0;
  // <train_gpt>
  // More than one: with chunks that follow documents, so many of them may be scored side by side, which
  // costs less and gives each the distributions that it has in the text's order:
  //   begin_documents(numbers)             in the text, of each row; -1: none
  //   open_documents(documents)            a chunk of each, by row
  //   predict_beside(row, t)               by a chunk's targets first, then documents
  //   close_documents(scored)              of the same; learning; then the next chunks
  // From chunk to chunk the last documents of a rank may be absent, because they have ended.
  virtual DocumentRows document_rows() const { return {}; }
  virtual void begin_documents(std::span<const int64_t> /*numbers*/) {}
  virtual void open_documents(std::span<const OpenDocument> /*documents*/) {}
  virtual void predict_beside(int64_t /*row*/, int64_t /*target*/,
                              TokenDistribution& /*distribution*/) {}
  virtual void close_documents(std::span<const ScoredChunk> /*scored*/) {}
  // Documents that must have ended, with all before them, before others begin: the least number above
  // `done`. Then close_text() learns from the text so far, whose chunk is what is new in it.
  virtual int64_t documents_until(int64_t /*done*/) const {
    return std::numeric_limits<int64_t>::max();
  }
  virtual void close_text(const ScoredChunk& /*scored*/) {}
  // Of everything mutable that a later distribution depends on: weights, adapters, optimizer state,
  // counts. Equal before open_chunk and after predict.
  virtual uint64_t state_hash() const = 0;
  // </train_gpt>
};

}  // namespace pg
