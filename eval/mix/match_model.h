// The longest-match expert: where the last min_length tokens stood before, the text went on with
// some token; the longer the agreement, the likelier it does so again (after lpaq's match model).
#pragma once
#include <array>
#include <cstdint>
#include <span>

#include "eval/mix/adaptive_rate.h"
#include "eval/mix/lazy_array.h"

namespace pg {

class MatchModel {
 public:
  static constexpr int kBuckets = 8;
  struct Prediction {
    int length = 0;  // tokens that agree; 0: no match
    int32_t token = 0;
    int bucket = 0;  // of length; 0: no match
    float confidence = 0;
  };

  MatchModel(int min_length, int64_t expected_tokens);

  Prediction predict(std::span<const uint16_t> history) const;
  // First learn(), then the owner appends the token to the history, then find(). Two calls, so that
  // the cache line that the first asks for arrives while the owner does something else.
  void learn(std::span<const uint16_t> history, int32_t token);
  void find(std::span<const uint16_t> history);

  int64_t memory_bytes() const { return static_cast<int64_t>(places_.size() * sizeof(uint32_t)); }
  // <train_gpt>
  uint64_t state_hash() const;
  // </train_gpt>

 private:
  int min_length_;
  int position_bits_;  // of a place; the bits above are a check of the hash
  LazyArray<uint32_t> places_;
  // Polynomial in kBase of the last min_length tokens, the newest the constant term.
  uint64_t rolling_hash_ = 0;
  uint64_t leaving_factor_ = 1;  // kBase^min_length
  uint64_t next_hash_ = 0;       // mixed, odd; 0: too few tokens so far
  uint32_t match_ = 0;           // position of the predicted token
  int length_ = 0;
  std::array<AdaptiveRate, kBuckets> confidence_;
};

}  // namespace pg
