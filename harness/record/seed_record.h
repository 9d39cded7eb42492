// The finished record of one run, read back: what tables over several runs are made of.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

namespace pg {

struct SeedRecord {
  int64_t seed = 0;
  std::string submission_json;  // the file as it was written
  double bits_per_byte = 0, loss_nats = 0;
  double pre_quant_bits_per_byte = 0, quantized_bits_per_byte = 0;
  int64_t artifact_bytes = 0, steps = 0;
  double step_avg_ms = 0, train_wallclock_ms = 0, eval_s = 0;
  std::string artifact_sha256, program, hardware;
  // What runs must share for their scores to be compared.
  std::string tokenizer_sha256, track, score_name, train_data, val_data;
  int64_t cap_bytes = 0;
};

// The record of this seed in a folder. Throws Error where it is damaged; `remedy` ends its message.
SeedRecord read_seed_record(const std::filesystem::path& folder, int64_t seed, const char* remedy);

// What of two runs keeps their scores from being compared: "training text"; empty where nothing does. Cap and way
// of scoring, which a comparison may be about, come last.
std::string find_other_setting(const SeedRecord& a, const SeedRecord& b);

}  // namespace pg
