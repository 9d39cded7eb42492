#include "eval/mix/match_model.h"

#include <algorithm>
#include <bit>

#include "src/base/check.h"
#include "src/base/rng.h"

namespace pg {
namespace {

constexpr uint64_t kBase = 0x9fb21c651e98df25ull;
constexpr int kMaxLength = 1 << 16;
constexpr int kMaxVerified = 32;  // longer agreement only shows by going on

// Shortest length of each bucket above the first.
constexpr std::array<int, MatchModel::kBuckets - 1> kBucketStart = {1, 10, 12, 16, 24, 32, 64};

int bucket_of(int length) {
  int bucket = 0;
  for (const int start : kBucketStart) bucket += length >= start ? 1 : 0;
  return bucket;
}

size_t places_for(int64_t expected_tokens) {
  return std::bit_ceil(static_cast<size_t>(std::max<int64_t>(expected_tokens, 1 << 12)));
}

}  // namespace

MatchModel::MatchModel(int min_length, int64_t expected_tokens)
    : min_length_(min_length),
      position_bits_(static_cast<int>(
          std::bit_width(static_cast<uint64_t>(std::max<int64_t>(expected_tokens, 1 << 12))))),
      places_(places_for(expected_tokens)) {
  for (int i = 0; i < min_length; ++i) leaving_factor_ *= kBase;
  PG_CHECK(min_length >= 1 && min_length <= kMaxVerified, "length of a match");
  PG_CHECK(position_bits_ <= 32, "positions are 32 bits");
  for (int b = 0; b < kBuckets; ++b) {
    confidence_[static_cast<size_t>(b)] = {.rate = static_cast<float>(b) / kBuckets, .events = 4};
  }
}

MatchModel::Prediction MatchModel::predict(std::span<const uint16_t> history) const {
  if (length_ == 0) return {};
  const int bucket = bucket_of(length_);
  return {.length = length_,
          .token = history[match_],
          .bucket = bucket,
          .confidence = confidence_[static_cast<size_t>(bucket)].rate};
}

void MatchModel::learn(std::span<const uint16_t> history, int32_t token) {
  if (length_ > 0) {
    const bool is_hit = history[match_] == token;
    confidence_[static_cast<size_t>(bucket_of(length_))].learn(is_hit);
    length_ = is_hit ? std::min(length_ + 1, kMaxLength) : 0;
    ++match_;
  }
  rolling_hash_ = rolling_hash_ * kBase + static_cast<uint64_t>(token) + 1;
  const auto length = static_cast<size_t>(min_length_);
  if (history.size() >= length) {
    rolling_hash_ -= leaving_factor_ * (uint64_t{history[history.size() - length]} + 1);
  }
  if (history.size() + 1 < length) return;
  next_hash_ = mix64(rolling_hash_) | 1;
  __builtin_prefetch(&places_[next_hash_ & (places_.size() - 1)], 1);
}

void MatchModel::find(std::span<const uint16_t> history) {
  if (next_hash_ == 0) return;
  uint32_t& place = places_[next_hash_ & (places_.size() - 1)];
  const size_t position = history.size();
  // 64-bit shifts: all 32 bits may belong to the position.
  const auto check = static_cast<uint32_t>((next_hash_ >> 32) << position_bits_);
  const auto position_mask = static_cast<uint32_t>((uint64_t{1} << position_bits_) - 1);
  const uint32_t earlier = place & position_mask;
  if (length_ == 0 && earlier != 0 && (place & ~position_mask) == check) {
    int agreed = 0;
    while (agreed < kMaxVerified && static_cast<uint32_t>(agreed) < earlier &&
           history[earlier - 1 - static_cast<uint32_t>(agreed)] ==
               history[position - 1 - static_cast<uint32_t>(agreed)]) {
      ++agreed;
    }
    if (agreed >= min_length_) {
      match_ = earlier;
      length_ = agreed;
    }
  }
  // A stream longer than expected keeps the places it has.
  if (position <= position_mask) place = check | static_cast<uint32_t>(position);
}

// <train_gpt>
uint64_t MatchModel::state_hash() const {
  uint64_t hash = hash_memory(places_.first(places_.size()), rolling_hash_);
  hash = hash_memory(std::span<const AdaptiveRate>(confidence_), hash);
  return mix64(hash ^ (uint64_t{match_} << 32) ^ static_cast<uint64_t>(length_));
}
// </train_gpt>

}  // namespace pg
