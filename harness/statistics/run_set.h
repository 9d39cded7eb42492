// The scores of one method over several seeds, as a record's submission.json states them.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/result.h"

namespace pg {

struct SeedScore {
  std::string seed;  // as it is written
  double bits_per_byte = 0;
  std::optional<double> loss_nats;  // a token
  std::optional<int64_t> artifact_bytes, steps;
  std::optional<int64_t> val_bytes;  // of the text that is scored
  std::optional<double> train_s, eval_s;
};

struct RunSet {
  std::string name;
  std::string track, date, blurb;  // as submission.json has them; empty where it does not say
  std::vector<SeedScore> seeds;

  std::vector<double> bits_per_byte() const;
  // Of every seed, or of none where one does not say.
  std::vector<double> losses_nats() const;
  // Tokens of the tokenizer for a byte of text, from loss and bits per byte; empty where they are not said.
  std::optional<double> tokens_per_byte() const;
};

// Of submission.json: each of "seed_results", or the one of "val_bpb". The text is a stranger's; the error says
// what is missing.
Result<RunSet> parse_run_set(std::string_view json);

// `where`: a record folder, a folder of the record folders of single seeds, or numbers with commas between
// them, bits per byte. Throws Error that says what is wrong and what to give.
RunSet read_run_set(const std::string& where);

}  // namespace pg
