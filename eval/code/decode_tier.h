// The score as a file: tokens coded with a scorer's distributions, and decoded by a process that
// has the file, the artifact and the tokenizer and nothing else. That it gives the text back proves
// that the distributions were ones, and were made without the tokens they cost.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "eval/code/arithmetic_coder.h"
#include "eval/score/eval_config.h"
#include "eval/score/ledger.h"
#include "eval/score/scorer.h"
#include "src/base/bytes.h"
#include "src/base/hash.h"
#include "src/base/result.h"

namespace pg {

// What a decoder must have and do to get the encoder's distributions.
struct CodingKey {
  Sha256 artifact_sha256 = {}, tokenizer_sha256 = {};
  int64_t context = 0, stride = 0;
  Windows windows = Windows::kStream;
};

// How a scorer must be set up for coding: a chunk is what one window scores, so that a decoder,
// which runs a batch for every token, runs no more than a window.
EvalConfig make_coding_config(const CodingKey& key);

struct CodedText {
  CodingKey key;
  int64_t tokens = 0;  // the first included
  int32_t first_token = 0;
  Sha256 tokens_sha256 = {};      // of the ids as little-endian u32
  uint64_t first_table_hash = 0;  // of the first target's frequencies
  std::span<const uint8_t> payload;
  std::span<const uint8_t> correction;  // text_correction.h; empty: the tokens give the text back
};

struct EncodedText {
  Bytes file;
  int64_t payload_bytes = 0;  // of the file, behind its header
  LedgerTotals totals;        // the metered score of the same distributions
};

using CodingProgressFn = std::function<void(int64_t tokens_done, int64_t tokens_total)>;

EncodedText encode_text(Scorer& scorer, std::span<const int32_t> stream, const ByteTable& bytes,
                        const CodingKey& key, const CodingProgressFn& progress = {},
                        std::span<const uint8_t> correction = {});

// The bytes are a stranger's. Payload and correction point into them.
Result<CodedText> parse_coded_text(std::span<const uint8_t> file);

// Fails for a payload that does not give the tokens that the header names: damaged, or coded with
// other distributions. Opens each chunk before each target with what is decoded, as
// score_as_decoder does.
Result<std::vector<int32_t>> decode_text(Scorer& scorer, const CodedText& text, int64_t vocab_size,
                                         const CodingProgressFn& progress = {});

}  // namespace pg
