// Exact successor counts of every context of the tokens seen so far, for a range of orders. Order n
// means n - 1 tokens of context.
//
// A context longer than the shortest is stored only once the context one token shorter was seen
// twice: before that, the one earlier place in the history says the same and more (how far back it
// agrees). So nothing is lost - counts are those of plain tables at every order - and text needs
// about one context per token instead of one per token and order.
#pragma once
#include <array>
#include <cstdint>
#include <span>

#include "eval/mix/lazy_array.h"

namespace pg {

struct Successor {
  uint16_t token = 0;
  uint16_t count = 0;
};

// A context of the next token that was seen before.
struct SeenContext {
  int order = 0;
  uint32_t total = 0;                     // times it was seen
  std::span<const Successor> successors;  // most frequent first; of equals, the first to get there
};

class ContextCounts {
 public:
  static constexpr int kMinOrder = 2, kMaxOrder = 16;

  // Memory is mapped for expected_tokens and taken as used. A stream that needs more contexts than
  // were mapped gets no new ones; those there keep counting.
  ContextCounts(int min_order, int max_order, int64_t expected_tokens);

  // Fills the contexts of the next token that were seen, highest order first, as many as fit; gives
  // their number. What they point to is valid until learn(). Const in what state_hash() covers.
  int seen_contexts(std::span<SeenContext> seen);
  void learn(int32_t token);

  std::span<const uint16_t> history() const { return history_.first(size_); }
  int64_t contexts() const { return contexts_; }
  int64_t memory_bytes() const;  // taken so far
  // <train_gpt>
  uint64_t state_hash() const;
  // </train_gpt>

 private:
  // key is 62 bits of the context's first hash, whether it has several successors, and a one; 0 is
  // an empty slot. With one successor: only is it, and ref the position after the context's first
  // occurrence. With several: only.count is their number and ref their extent in pool_.
  struct Slot {
    uint64_t key = 0;
    uint32_t ref = 0;
    Successor only;
  };
  struct ContextHash {
    uint64_t check = 0;  // compared
    uint64_t place = 0;  // where to look
  };

  ContextHash hash_before(size_t position, int tokens) const;
  void hash_next_contexts(uint16_t token, int tokens);
  Slot* find(const ContextHash& hash) const;
  Slot* insert(const ContextHash& hash, size_t position, uint16_t token);
  void append(uint16_t token);
  void look_up();
  int agreeing_order(const Slot& slot, int order) const;
  bool count_successor(Slot& slot, uint16_t token);
  bool count_in_extent(Slot& slot, uint16_t token);
  void prefetch_slot(const ContextHash& hash) const;
  Slot* expand(size_t earlier, uint16_t earlier_token, int order);
  uint32_t allocate_extent(int size_class);

  int min_order_, max_order_;
  LazyArray<uint16_t> history_;
  size_t size_ = 0;  // of the history
  LazyArray<Slot> slots_;
  int64_t contexts_ = 0, contexts_limit_ = 0;
  // Extents of successors, each 2^c cells: the first holds the total count, the rest the
  // successors.
  LazyArray<Successor> pool_;
  uint32_t pool_used_ = kFirstExtent;
  static constexpr int kSizeClasses = 18;
  static constexpr uint32_t kFirstExtent = 4;  // 0 ends a free list
  std::array<uint32_t, kSizeClasses> free_extents_ = {};
  // Of the next token. A context can have been seen only if the one a token shorter, one position
  // ago, was followed by this token: no higher order need be looked up.
  int highest_possible_order_ = 0;
  std::array<ContextHash, kMaxOrder + 2> hashes_ = {};       // by order
  std::array<ContextHash, kMaxOrder + 2> next_hashes_ = {};  // of the token after, within learn()
  int next_hashed_order_ = 0;
  std::array<Slot*, kMaxOrder + 2> located_ = {};  // by order; null above located_order_
  int located_order_ = 0;
};

}  // namespace pg
