// The score as a file: tokens coded with a scorer's distributions. What lies in the file beside the
// code itself, for its decoder. Little endian:
//
//   bytes  field
//   4, 4   magic "PGTX", version 3
//   32     SHA-256 of the artifact, which says how a text is scored, by which arithmetic, and which
//          tokenizer the ids are of
//   8, 4   tokens, and the first, which is not coded
//   8      hash of the first target's frequencies
//   32     SHA-256 of the ids as u32
//   4, 4   bytes of the payload and of the correction
//   2 ...  after each whole kCheckTokens: the low bits of a hash of the ids so far
//   ...    payload (arithmetic_coder.h), correction (text_correction.h)
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "src/base/bytes.h"
#include "src/base/hash.h"
#include "src/base/result.h"

namespace pg {

constexpr int64_t kCheckTokens = 4096;

struct CodedText {
  Sha256 artifact_sha256 = {};
  int64_t tokens = 0;  // the first included
  int32_t first_token = 0;
  Sha256 tokens_sha256 = {};
  uint64_t first_table_hash = 0;
  std::vector<uint16_t> checks = {};
  std::span<const uint8_t> payload = {};
  std::span<const uint8_t> correction = {};  // empty: the tokens give the text back
};

// A hash of ids that grows with them.
class TokenCheck {
 public:
  void add(int32_t token);
  uint16_t low_bits() const { return static_cast<uint16_t>(hash_ ^ (hash_ >> 32)); }

 private:
  uint64_t hash_ = kFnvOffset;
};

Sha256 hash_tokens(std::span<const int32_t> tokens);

// <train_gpt>
// Throws Error for a number of tokens that no file may have.
Bytes write_coded_text(const CodedText& text);
// </train_gpt>
// The bytes are a stranger's. Payload and correction point into them.
Result<CodedText> parse_coded_text(std::span<const uint8_t> file);

// Hears of a text that is being coded or decoded.
using CodingProgressFn = std::function<void(int64_t tokens_done, int64_t tokens_total)>;

Failure describe_damage(const std::string& how);

// Throws Error naming both hashes when another artifact coded the text.
void check_artifact(const CodedText& text, const Sha256& artifact_sha256);

}  // namespace pg
