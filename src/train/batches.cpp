// Orders are computed, not stored: an index goes through an epoch's phase, start, stride or
// permutation, all drawn from a counter-based generator. So a resumed run needs one number, ranks
// need no agreement, and 10^10 windows need no memory.
#include "src/train/batches.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <numeric>
#include <utility>

#include "src/base/check.h"
#include "src/base/error.h"
#include "src/base/rng.h"

namespace pg {
namespace {

// Numbers drawn per epoch, by position. Fixed for ever: changing one changes every run.
enum EpochDraw : uint64_t { kDrawPhase = 0, kDrawStart = 1, kDrawStride = 2, kDrawKey = 3 };
constexpr uint64_t kDrawsPerEpoch = 4;

uint64_t draw_coprime(const CounterRng& rng, uint64_t draw, uint64_t count) {
  if (count <= 2) return 1;
  uint64_t stride = 1 + rng.below(draw, count - 1);
  while (std::gcd(stride, count) != 1) stride = stride == count - 1 ? 1 : stride + 1;
  return stride;
}

// A keyed bijection of [0, count): a balanced Feistel network permutes the next power of four, and
// values that land outside are sent through again until one falls inside ("cycle walking", Black
// and Rogaway, "Ciphers with arbitrary finite domains", 2002); fewer than four passes on average.
uint64_t permute(uint64_t value, uint64_t count, uint64_t key) {
  constexpr uint64_t kRounds =
      6;  // four suffice for large halves (Luby-Rackoff); small ones need a few more
  const int half_bits = (static_cast<int>(std::bit_width(count - 1)) + 1) / 2;
  const uint64_t mask = (uint64_t{1} << half_bits) - 1;
  do {
    uint64_t left = value >> half_bits, right = value & mask;
    for (uint64_t round = 0; round < kRounds; ++round) {
      const uint64_t mixed = left ^ (mix64(mix64(key ^ round) ^ right) & mask);
      left = right;
      right = mixed;
    }
    value = left << half_bits | right;
  } while (value >= count);
  return value;
}

}  // namespace

Batches::Batches(const TokenStream& stream, Loader loader, uint64_t seed, int64_t seq_len,
                 int64_t held_out)
    : Batches(stream, stream.size() - held_out, loader, seed, seq_len, /*ahead=*/1) {}

Batches Batches::with_windows(int64_t seq_len, int64_t ahead) const {
  return {*stream_, tokens_, loader_, seed_, seq_len, ahead};
}

Batches Batches::with_spans(int64_t tokens, int64_t of_step) const {
  PackedSpans spans(*stream_, tokens_, tokens, of_step);
  Batches packed(*stream_, tokens_, loader_, seed_, tokens, /*ahead=*/1);
  packed.windows_ = spans.per_epoch();
  packed.spans_ = std::move(spans);
  return packed;
}

Batches::Batches(const TokenStream& stream, int64_t tokens, Loader loader, uint64_t seed,
                 int64_t seq_len, int64_t ahead)
    : stream_(&stream),
      tokens_(tokens),
      loader_(loader),
      seed_(seed),
      seq_len_(seq_len),
      ahead_(ahead) {
  PG_CHECK(seq_len > 0 && ahead > 0, "a window has at least one token, and one follows");
  const int64_t targets = tokens - ahead;  // the first tokens are never any
  if (targets < seq_len) {
    throw Error(
        fmt::format("too few tokens for one window: {}, a window of sequence length {} needs {}; "
                    "give more data or a smaller sequence length{}",
                    std::max<int64_t>(tokens, 0), seq_len, seq_len + ahead,
                    tokens < stream.size() ? ", or a smaller train.held_out_tokens" : ""));
  }
  // The random loaders leave room for a phase of up to seq_len - 1 tokens, so that every epoch has
  // as many windows.
  const int64_t phase_room = loader == Loader::kSequential ? 0 : seq_len - 1;
  windows_ = std::max<int64_t>(1, (targets - phase_room) / seq_len);
}

int64_t Batches::window_start(int64_t index) const {
  PG_CHECK(index >= 0, "windows count from 0");
  if (spans_) return spans_->start(index);
  const auto windows = static_cast<uint64_t>(windows_);
  const uint64_t place = static_cast<uint64_t>(index) % windows;
  if (loader_ == Loader::kSequential) return static_cast<int64_t>(place) * seq_len_;

  const CounterRng rng(seed_, kStreamDataOrder);
  const uint64_t first_draw = static_cast<uint64_t>(index) / windows * kDrawsPerEpoch;
  const int64_t spare = tokens_ - ahead_ - windows_ * seq_len_;
  const auto phases = static_cast<uint64_t>(std::min(spare, seq_len_ - 1) + 1);
  const uint64_t phase = rng.below(first_draw + kDrawPhase, phases);
  uint64_t window = 0;
  if (loader_ == Loader::kCoprime) {
    const uint64_t start = rng.below(first_draw + kDrawStart, windows);
    const uint64_t stride = draw_coprime(rng, first_draw + kDrawStride, windows);
    window =
        static_cast<uint64_t>((start + static_cast<unsigned __int128>(place) * stride) % windows);
  } else {
    window = permute(place, windows, rng.bits(first_draw + kDrawKey));
  }
  return static_cast<int64_t>(phase) + static_cast<int64_t>(window) * seq_len_;
}

int64_t Batches::held_out() const { return stream_->size() - tokens_; }

std::vector<int32_t> Batches::read_held_out() const {
  std::vector<int32_t> tokens(static_cast<size_t>(held_out()));
  if (!tokens.empty()) stream_->read(tokens_, tokens);
  return tokens;
}

void Batches::read_whole(int64_t first_index, int64_t count, std::span<int32_t> tokens) const {
  const auto row_tokens = static_cast<size_t>(seq_len_ + ahead_);
  PG_CHECK(tokens.size() == static_cast<size_t>(count) * row_tokens,
           "tokens are [count, seq_len + ahead]");
  for (int64_t row = 0; row < count; ++row) {
    stream_->read(window_start(first_index + row),
                  tokens.subspan(static_cast<size_t>(row) * row_tokens, row_tokens));
  }
}

void Batches::read(int64_t first_index, int64_t count, std::span<int32_t> ids,
                   std::span<int32_t> targets) const {
  const auto row_tokens = static_cast<size_t>(seq_len_);
  PG_CHECK(ids.size() == static_cast<size_t>(count) * row_tokens && targets.size() == ids.size(),
           "ids and targets are [count, seq_len]");
  for (int64_t row = 0; row < count; ++row) {
    const int64_t start = window_start(first_index + row);
    const size_t at = static_cast<size_t>(row) * row_tokens;
    stream_->read(start, ids.subspan(at, row_tokens));
    stream_->read(start + 1, targets.subspan(at, row_tokens));
  }
}

}  // namespace pg
