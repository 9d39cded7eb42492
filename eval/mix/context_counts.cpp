// Slots are probed linearly in one table for all orders. False matches: a lookup compares 62 bits
// of one hash at a place chosen by a second, independent one. A pass over 62M tokens makes at most
// 62e6 * 10 lookups of about 4 compared slots: 62e6 * 10 * 4 / 2^62 = 5e-10 expected false matches.
#include "eval/mix/context_counts.h"

#include <algorithm>
#include <bit>

#include "src/base/check.h"
#include "src/base/rng.h"

namespace pg {
namespace {

constexpr uint64_t kOccupied = 1, kSeveral = 2, kKeyFlags = kOccupied | kSeveral;
constexpr uint16_t kMaxCount = 65535;
// Slots and pool cells mapped per expected token. Web text at V = 1024 stores 1.37 to 1.44 contexts
// a token (10M to 62M tokens, orders 3 to 10) and uses 2 to 3 cells; a text that repeats itself
// entirely would store 4.5, and gets kSlotsPerToken * kMaxLoad.
constexpr double kSlotsPerToken = 2.0, kCellsPerToken = 10;
constexpr double kMaxLoad = 0.8;
constexpr size_t kMinTokens = 1 << 12;

// One step of a multiply-xorshift hash; a bijection of h for each token.
constexpr uint64_t extend(uint64_t h, uint16_t token, uint64_t multiplier) {
  h = (h + token + 1) * multiplier;
  return h ^ (h >> 32);
}

size_t table_size(int64_t expected_tokens, double per_token) {
  const size_t tokens = std::max(static_cast<size_t>(expected_tokens), kMinTokens);
  return static_cast<size_t>(per_token * static_cast<double>(tokens));
}

uint32_t find_token(std::span<const Successor> cells, uint16_t token) {
  constexpr size_t kStep = 16;
  size_t i = 0;
  for (; i + kStep <= cells.size(); i += kStep) {
    uint32_t hits = 0;
    for (size_t k = 0; k < kStep; ++k) hits |= static_cast<uint32_t>(cells[i + k].token == token);
    if (hits != 0) break;
  }
  while (i < cells.size() && cells[i].token != token) ++i;
  return static_cast<uint32_t>(i);
}

// An extent's first cell as one number: its total count, or, of a free extent, the next free one.
uint32_t read_head(const Successor& cell) { return cell.token | uint32_t{cell.count} << 16; }

void write_head(Successor& cell, uint32_t value) {
  cell = {.token = static_cast<uint16_t>(value), .count = static_cast<uint16_t>(value >> 16)};
}

}  // namespace

ContextCounts::ContextCounts(int min_order, int max_order, int64_t expected_tokens)
    : min_order_(min_order),
      max_order_(max_order),
      history_(std::max(static_cast<size_t>(expected_tokens), kMinTokens)),
      slots_(table_size(expected_tokens, kSlotsPerToken)),
      pool_(table_size(expected_tokens, kCellsPerToken)) {
  PG_CHECK(kMinOrder <= min_order && min_order <= max_order && max_order <= kMaxOrder, "orders");
  PG_CHECK(expected_tokens >= 0 && expected_tokens < int64_t{1} << 32, "positions are 32 bits");
  contexts_limit_ = static_cast<int64_t>(kMaxLoad * static_cast<double>(slots_.size()));
  highest_possible_order_ = min_order;
}

ContextCounts::ContextHash ContextCounts::hash_before(size_t position, int tokens) const {
  ContextHash hash;
  for (int i = 1; i <= tokens; ++i) {
    const uint16_t token = history_[position - static_cast<size_t>(i)];
    hash.check = extend(hash.check, token, 0xd6e8feb86659fd93ull);
    hash.place = extend(hash.place, token, 0xa0761d6478bd642full);
  }
  return hash;
}

// Hashes the contexts of the token after `token`, up to so many tokens long, and asks the cache for
// their slots.
void ContextCounts::hash_next_contexts(uint16_t token, int tokens) {
  tokens = std::min({tokens, max_order_ - 1, static_cast<int>(size_) + 1});
  for (int i = next_hashed_order_; i <= tokens; ++i) {
    const uint16_t earlier = i == 1 ? token : history_[size_ + 1 - static_cast<size_t>(i)];
    ContextHash hash = next_hashes_[static_cast<size_t>(i)];
    hash.check = extend(hash.check, earlier, 0xd6e8feb86659fd93ull);
    hash.place = extend(hash.place, earlier, 0xa0761d6478bd642full);
    next_hashes_[static_cast<size_t>(i) + 1] = hash;
    if (i + 1 >= min_order_) prefetch_slot(hash);
  }
  next_hashed_order_ = std::max(next_hashed_order_, tokens + 1);
}

void ContextCounts::prefetch_slot(const ContextHash& hash) const {
  const auto wide = static_cast<unsigned __int128>(hash.place) * slots_.size();
  __builtin_prefetch(&slots_[static_cast<size_t>(wide >> 64)], 1);
}

ContextCounts::Slot* ContextCounts::find(const ContextHash& hash) const {
  const uint64_t key = (hash.check & ~kKeyFlags) | kOccupied;
  const auto wide = static_cast<unsigned __int128>(hash.place) * slots_.size();
  for (auto i = static_cast<size_t>(wide >> 64);;) {
    Slot& slot = slots_[i];
    if ((slot.key & ~kSeveral) == key || slot.key == 0) return &slot;
    i = i + 1 == slots_.size() ? 0 : i + 1;
  }
}

// Stores a context seen once, before `position`, where `token` followed. Null when the table is
// full.
ContextCounts::Slot* ContextCounts::insert(const ContextHash& hash, size_t position,
                                           uint16_t token) {
  Slot* slot = find(hash);
  if (slot->key != 0) return slot;
  if (contexts_ == contexts_limit_) return nullptr;
  ++contexts_;
  slot->key = (hash.check & ~kKeyFlags) | kOccupied;
  slot->ref = static_cast<uint32_t>(position);
  slot->only = {.token = token, .count = 1};
  return slot;
}

// Finds the stored contexts of the next token and asks the cache for what will be read through
// them.
void ContextCounts::look_up() {
  located_order_ = min_order_ - 1;
  located_.fill(nullptr);
  const int highest = std::min({highest_possible_order_, max_order_, static_cast<int>(size_) + 1});
  for (int order = min_order_; order <= highest; ++order) {
    Slot* slot = find(hashes_[static_cast<size_t>(order)]);
    if (slot->key == 0) break;
    located_[static_cast<size_t>(order)] = slot;
    located_order_ = order;
    if ((slot->key & kSeveral) != 0) {
      __builtin_prefetch(&pool_[slot->ref], 1);
    } else if (slot->only.count == 1) {
      __builtin_prefetch(history_.data() + slot->ref - std::min<size_t>(slot->ref, kMaxOrder));
    }
  }
}

// The highest order at which the one place where `slot`'s context was seen agrees with the next
// token's context.
int ContextCounts::agreeing_order(const Slot& slot, int order) const {
  const size_t here = size_;
  while (order < max_order_ && slot.ref >= static_cast<size_t>(order) &&
         history_[slot.ref - static_cast<size_t>(order)] ==
             history_[here - static_cast<size_t>(order)]) {
    ++order;
  }
  return order;
}

int ContextCounts::seen_contexts(std::span<SeenContext> seen) {
  size_t count = 0;
  for (int order = located_order_; order >= min_order_; --order) {
    const Slot& slot = *located_[static_cast<size_t>(order)];
    if ((slot.key & kSeveral) != 0) {
      if (count == seen.size()) break;
      const Successor* extent = &pool_[slot.ref];
      seen[count++] = {order, read_head(*extent), {extent + 1, slot.only.count}};
      continue;
    }
    // A context seen once also stands for the longer ones that agree: they are not stored yet.
    int top = slot.only.count == 1 ? agreeing_order(slot, order) : order;
    for (; top >= order && count < seen.size(); --top) {
      seen[count++] = {top, slot.only.count, {&slot.only, 1}};
    }
  }
  return static_cast<int>(count);
}

uint32_t ContextCounts::allocate_extent(int size_class) {
  uint32_t& head = free_extents_[static_cast<size_t>(size_class)];
  if (head != 0) {
    const uint32_t extent = head;
    head = read_head(pool_[extent]);
    return extent;
  }
  const uint32_t cells = uint32_t{1} << size_class;
  constexpr uint32_t kLineCells = 16;  // an extent crosses no cache line it need not cross
  const uint32_t align = std::min(cells, kLineCells);
  const uint32_t extent = (pool_used_ + align - 1) / align * align;
  if (extent + cells > pool_.size()) {
    contexts_limit_ = contexts_;  // and no new contexts either: what is stored stays consistent
    return 0;
  }
  pool_used_ = extent + cells;
  return extent;
}

// Counts a successor; tells whether it was one already. Without room for another one it stays
// uncounted.
bool ContextCounts::count_successor(Slot& slot, uint16_t token) {
  if ((slot.key & kSeveral) != 0) return count_in_extent(slot, token);
  if (slot.only.token == token) {
    if (slot.only.count < kMaxCount) ++slot.only.count;
    return true;
  }
  const uint32_t at = allocate_extent(2);
  if (at == 0) return false;
  Successor* extent = &pool_[at];
  write_head(*extent, slot.only.count + 1u);
  extent[1] = slot.only;
  extent[2] = {.token = token, .count = 1};
  slot.key |= kSeveral;
  slot.ref = at;
  slot.only = {.token = 0, .count = 2};
  return false;
}

bool ContextCounts::count_in_extent(Slot& slot, uint16_t token) {
  const uint32_t size = slot.only.count;
  Successor* extent = &pool_[slot.ref];
  Successor* cells = extent + 1;
  uint32_t i = find_token({cells, size}, token);
  if (i < size) {
    if (cells[i].count == kMaxCount) {  // halve all: the order by count stays
      uint32_t total = 0;
      for (uint32_t k = 0; k < size; ++k) {
        cells[k].count = static_cast<uint16_t>((cells[k].count + 1) / 2);
        total += cells[k].count;
      }
      write_head(*extent, total);
    }
    // To the front of those with its count, then one more than they have.
    const uint16_t count = cells[i].count;
    const Successor* first =
        std::partition_point(cells, cells + i, [count](Successor s) { return s.count > count; });
    std::swap(cells[i], cells[first - cells]);
    ++cells[first - cells].count;
    write_head(*extent, read_head(*extent) + 1);
    return true;
  }
  if (std::has_single_bit(size + 1)) {  // full: size + the total's cell fill the extent
    const int size_class = std::countr_zero(size + 1);
    const uint32_t larger = size_class + 1 < kSizeClasses ? allocate_extent(size_class + 1) : 0;
    if (larger == 0) return false;
    std::copy_n(extent, size + 1, &pool_[larger]);
    uint32_t& head = free_extents_[static_cast<size_t>(size_class)];
    write_head(*extent, head);
    head = slot.ref;
    slot.ref = larger;
    extent = &pool_[larger];
    cells = extent + 1;
  }
  cells[size] = {.token = token, .count = 1};
  write_head(*extent, read_head(*extent) + 1);
  ++slot.only.count;
  return false;
}

// A context of `order` seen a second time: stores the one a token longer that its earlier place
// has. Gives its slot when the next token has it too.
ContextCounts::Slot* ContextCounts::expand(size_t earlier, uint16_t earlier_token, int order) {
  const auto tokens = static_cast<size_t>(order);
  if (earlier < tokens || contexts_ == contexts_limit_) return nullptr;
  if (history_[earlier - tokens] == history_[size_ - tokens]) {
    return insert(hashes_[tokens + 1], earlier, earlier_token);
  }
  insert(hash_before(earlier, order), earlier, earlier_token);
  return nullptr;
}

void ContextCounts::append(uint16_t token) {
  if (size_ == history_.size()) {  // a longer stream than expected
    LazyArray<uint16_t> larger(2 * size_);
    std::copy_n(history_.data(), size_, larger.data());
    history_ = std::move(larger);
  }
  history_[size_++] = token;
}

void ContextCounts::learn(int32_t token32) {
  PG_DCHECK(token32 >= 0 && token32 <= 65535, "a token");
  const auto token = static_cast<uint16_t>(token32);
  // Contexts that may be seen next are at most a token longer than those seen now, most of them:
  // their slots come while this token is counted.
  next_hashed_order_ = 1;
  hash_next_contexts(token, located_order_);
  const size_t position = size_;
  const int highest = std::min(max_order_, static_cast<int>(size_) + 1);
  int predicted_order = min_order_ - 1;  // highest at which this token was a successor
  for (int order = min_order_; order <= highest; ++order) {
    Slot* slot = located_[static_cast<size_t>(order)];
    if (slot == nullptr) {
      insert(hashes_[static_cast<size_t>(order)], position, token);
      break;
    }
    const bool was_seen_once = (slot->key & kSeveral) == 0 && slot->only.count == 1;
    const size_t earlier = slot->ref;
    const uint16_t earlier_token = slot->only.token;
    if (count_successor(*slot, token)) predicted_order = order;
    if (was_seen_once && order < highest) {
      located_[static_cast<size_t>(order) + 1] = expand(earlier, earlier_token, order);
    }
  }
  highest_possible_order_ = predicted_order + 1;
  // One order above the highest possible one may have to be inserted.
  hash_next_contexts(token, highest_possible_order_);
  append(token);
  hashes_ = next_hashes_;
  look_up();
}

int64_t ContextCounts::memory_bytes() const {
  // Slots are spread evenly: a page is taken as soon as one of its slots is.
  return static_cast<int64_t>(slots_.size() * sizeof(Slot) + pool_used_ * sizeof(Successor) +
                              history_.size() * sizeof(uint16_t));
}

// <train_gpt>
uint64_t ContextCounts::state_hash() const {
  uint64_t hash = hash_memory(slots_.first(slots_.size()), 1);
  hash = hash_memory(pool_.first(pool_used_), hash);
  hash = hash_memory(history(), hash);
  hash = hash_memory(std::span<const uint32_t>(free_extents_), hash);
  hash = mix64(hash ^ static_cast<uint64_t>(contexts_limit_));
  return mix64(hash ^ static_cast<uint64_t>(highest_possible_order_));
}
// </train_gpt>

}  // namespace pg
