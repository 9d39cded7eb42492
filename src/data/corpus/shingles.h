// Overlap of two texts, counted in shingles: runs of 13 words, the length that the contamination
// checks of language-model papers use (Brown et al., "Language models are few-shot learners", 2020,
// appendix C). Shingles never span documents.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

namespace pg {

inline constexpr int kShingleWords = 13;

// Appends a 64-bit hash of every shingle of the text. Words are runs of ASCII letters, ASCII digits
// and non-ASCII bytes, ASCII letters lower-cased; a text of fewer words has no shingle.
void append_shingles(std::string_view text, std::vector<uint64_t>& shingles);

// Which shingles of a small set occur in a large text that streams by: memory goes with the small
// set alone.
class ShingleOverlap {
 public:
  // Keeps the distinct ones.
  explicit ShingleOverlap(std::vector<uint64_t> shingles);
  void mark(const std::vector<uint64_t>& seen);
  int64_t distinct() const { return static_cast<int64_t>(shingles_.size()); }
  int64_t marked() const;

 private:
  std::vector<uint64_t> shingles_;  // sorted
  std::vector<uint8_t> is_marked_;  // one a shingle
  std::vector<uint64_t>
      maybe_;  // bitmap over the hashes' top bits: a quick no for nearly all of the large text
  int shift_ = 0;
};

}  // namespace pg
