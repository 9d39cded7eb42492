// Codes a text while the ledger scores it.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "eval/code/coded_text.h"
#include "eval/code/encode/arithmetic_encoder.h"
#include "eval/score/ledger.h"
#include "eval/score/scorer.h"

namespace pg {

// Hears of every distribution and every token that is charged for, in any order: hooks() goes to the
// ledger.
class TextEncoder {
 public:
  explicit TextEncoder(int32_t first_token);
  TextEncoder(const TextEncoder&) = delete;  // its hooks point to it
  TextEncoder& operator=(const TextEncoder&) = delete;

  LedgerHooks hooks();
  // The file of the `stream` that was scored; the encoder is spent.
  Bytes finish(const Sha256& artifact_sha256, std::span<const int32_t> stream,
               std::span<const uint8_t> correction = {});
  int64_t payload_bytes() const { return payload_bytes_; }  // of the finished file

 private:
  struct Charge {
    FrequencyShare share;
    int32_t token = -1;  // none yet
  };
  void charge(int64_t target, const Charge& charge);
  void encode(const Charge& charge);

  FrequencyTable table_;
  int64_t next_ = 1;             // the target whose charge is coded next
  std::vector<Charge> waiting_;  // by target
  ArithmeticEncoder encoder_;
  TokenCheck check_;
  std::vector<uint16_t> checks_;
  uint64_t first_table_hash_ = 0;
  int64_t payload_bytes_ = 0;
};

struct EncodedText {
  Bytes file;
  int64_t payload_bytes = 0;  // of the file, behind its header
  LedgerTotals totals;        // the metered score of the same distributions
};

// Scores and codes a text; one of a single token, which has no target, is a header alone.
EncodedText encode_text(Scorer& scorer, std::span<const int32_t> stream, const ByteTable& bytes,
                        const Sha256& artifact_sha256, const CodingProgressFn& progress = {},
                        std::span<const uint8_t> correction = {});

}  // namespace pg
