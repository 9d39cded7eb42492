#include "harness/record/seed_record.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "harness/record/run_folder.h"
#include "harness/record/tape.h"
#include "src/base/bytes.h"
#include "src/base/error.h"

namespace pg {
namespace {

using Json = nlohmann::json;

void read_submission(const std::string& text, SeedRecord& record) {
  const Json json = Json::parse(text);
  const Json& result = json.at("seed_results").at(fmt::format("{}", record.seed));
  const auto take = [&result](const char* key, auto& value) { result.at(key).get_to(value); };
  take("val_bpb", record.bits_per_byte);
  take("val_loss", record.loss_nats);
  take("pre_quant_val_bpb", record.pre_quant_bits_per_byte);
  take("quantized_val_bpb", record.quantized_bits_per_byte);
  take("artifact_bytes", record.artifact_bytes);
  take("steps", record.steps);
  take("step_avg_ms", record.step_avg_ms);
  take("train_wallclock_ms", record.train_wallclock_ms);
  take("eval_time_s", record.eval_s);
  record.artifact_sha256 = result.value("artifact_sha256", std::string());
  record.tokenizer_sha256 = json.value("tokenizer_sha256", std::string());
  record.track = json.value("track", std::string());
  record.score_name = json.value("val_bpb_is", std::string());
  record.program = json.value("program", std::string());
  record.hardware = json.value("hardware", std::string());
  record.cap_bytes = json.value("bytes_cap", int64_t{0});
}

}  // namespace

SeedRecord read_seed_record(const std::filesystem::path& path, int64_t seed, const char* remedy) {
  RunFolder folder;
  folder.path = path;
  folder.seed = seed;
  SeedRecord record;
  record.seed = seed;
  record.submission_json = read_text_file(folder.submission());
  try {
    read_submission(record.submission_json, record);
  } catch (const Json::exception&) {
    throw Error(fmt::format("the record of seed {} is damaged: \"{}\"; {}", seed,
                            folder.submission().string(), remedy));
  }
  const Result<Tape> tape = read_tape(read_text_file(folder.tape()));
  if (!tape.ok()) {
    throw Error(fmt::format("the tape of seed {} is damaged: {}; {}", seed, tape.error(), remedy));
  }
  for (const TapePart& part : tape.value().parts) {
    const auto text = [&](const char* key) {
      const auto found = part.identity.find(key);
      return found == part.identity.end() ? std::string() : found->second;
    };
    record.train_data = text("train_sha256");
    record.val_data = text("val_sha256");
  }
  return record;
}

std::string find_other_setting(const SeedRecord& a, const SeedRecord& b) {
  if (a.tokenizer_sha256 != b.tokenizer_sha256) return "tokenizer";
  if (a.track != b.track) return "track";
  if (a.train_data != b.train_data) return "training text";
  if (a.val_data != b.val_data) return "validation text";
  if (a.cap_bytes != b.cap_bytes) return "cap";
  if (a.score_name != b.score_name) return "way of scoring";
  return "";
}

}  // namespace pg
