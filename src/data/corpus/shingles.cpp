#include "src/data/corpus/shingles.h"

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>

#include "src/base/hash.h"
#include "src/base/rng.h"

namespace pg {
namespace {

bool is_word_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         static_cast<uint8_t>(c) >= 0x80;
}

}  // namespace

void append_shingles(std::string_view text, std::vector<uint64_t>& shingles) {
  std::array<uint64_t, kShingleWords> recent = {};  // hashes of the last words, as a ring
  size_t words = 0;
  for (size_t at = 0; at < text.size();) {
    if (!is_word_byte(text[at])) {
      ++at;
      continue;
    }
    uint64_t word = kFnvOffset;
    for (; at < text.size() && is_word_byte(text[at]); ++at) {
      const bool is_upper = text[at] >= 'A' && text[at] <= 'Z';
      const auto byte = static_cast<uint8_t>(is_upper ? text[at] - 'A' + 'a' : text[at]);
      word = fnv1a({&byte, 1}, word);
    }
    recent[words++ % kShingleWords] = word;
    if (words < kShingleWords) continue;
    uint64_t hash = 0;
    for (size_t i = 0; i < kShingleWords; ++i)
      hash = mix64(hash ^ recent[(words + i) % kShingleWords]);
    shingles.push_back(hash);
  }
}

ShingleOverlap::ShingleOverlap(std::vector<uint64_t> shingles) : shingles_(std::move(shingles)) {
  std::sort(shingles_.begin(), shingles_.end());
  shingles_.erase(std::unique(shingles_.begin(), shingles_.end()), shingles_.end());
  is_marked_.resize(shingles_.size());
  // Sixteen bits a shingle: one hash in sixteen of those not in the set gets past the bitmap.
  const int bits = std::max(6, static_cast<int>(std::bit_width(shingles_.size())) + 4);
  shift_ = 64 - bits;
  maybe_.resize(size_t{1} << (bits - 6));
  for (const uint64_t hash : shingles_)
    maybe_[hash >> shift_ >> 6] |= uint64_t{1} << (hash >> shift_ & 63);
}

void ShingleOverlap::mark(const std::vector<uint64_t>& seen) {
  for (const uint64_t hash : seen) {
    const uint64_t bit = hash >> shift_;
    if ((maybe_[bit >> 6] >> (bit & 63) & 1) == 0) continue;
    const auto found = std::lower_bound(shingles_.begin(), shingles_.end(), hash);
    if (found != shingles_.end() && *found == hash) {
      is_marked_[static_cast<size_t>(found - shingles_.begin())] = 1;
    }
  }
}

int64_t ShingleOverlap::marked() const {
  return std::accumulate(is_marked_.begin(), is_marked_.end(), int64_t{0});
}

}  // namespace pg
