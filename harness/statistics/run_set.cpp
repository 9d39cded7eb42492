#include "harness/statistics/run_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>
#include <numeric>

#include "src/base/bytes.h"
#include "src/base/error.h"

namespace pg {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr uintmax_t kMostBytes = 1 << 20;  // of a submission.json
constexpr const char* kFileName = "submission.json";

std::optional<double> number(const Json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_number()) return {};
  const auto value = found->get<double>();
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

std::optional<int64_t> count(const Json& json, const char* key) {
  const std::optional<double> value = number(json, key);
  constexpr double kMost = 9007199254740992.0;  // 2^53
  if (!value || *value < 0 || *value > kMost) return {};
  return static_cast<int64_t>(*value);
}

std::optional<SeedScore> read_score(const Json& json, const std::string& seed) {
  if (!json.is_object()) return {};
  const std::optional<double> bits_per_byte = number(json, "val_bpb");
  if (!bits_per_byte) return {};
  SeedScore score;
  score.seed = seed;
  score.bits_per_byte = *bits_per_byte;
  score.loss_nats = number(json, "val_loss");
  score.artifact_bytes = count(json, "artifact_bytes");
  if (!score.artifact_bytes) score.artifact_bytes = count(json, "bytes_total");
  score.steps = count(json, "steps");
  if (!score.steps) score.steps = count(json, "train_steps");
  if (const auto ms = number(json, "train_wallclock_ms")) score.train_s = *ms / 1e3;
  if (!score.train_s) score.train_s = number(json, "wallclock_seconds");
  score.eval_s = number(json, "eval_time_s");
  score.val_bytes = count(json, "val_bytes");
  return score;
}

RunSet read_folder(const fs::path& folder) {
  const fs::path file = folder / kFileName;
  if (fs::file_size(file) > kMostBytes) {
    throw Error(fmt::format("\"{}\" has more than {} bytes: it is no submission.json",
                            file.string(), kMostBytes));
  }
  Result<RunSet> set = parse_run_set(read_text_file(file));
  if (!set.ok()) throw Error(fmt::format("\"{}\": {}", file.string(), set.error()));
  return std::move(set.value());
}

RunSet read_numbers(const std::string& text) {
  RunSet set;
  set.name = "given";
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    SeedScore score;
    score.seed = fmt::format("{}", set.seeds.size() + 1);
    const auto [rest, error] =
        std::from_chars(text.data() + at, text.data() + end, score.bits_per_byte);
    if (error != std::errc() || rest != text.data() + end || !std::isfinite(score.bits_per_byte)) {
      throw Error(
          fmt::format("neither a folder nor numbers: \"{}\"; give a record's folder, a folder of "
                      "seeds' folders, or bits per byte as 1.0566,1.0561,1.0568",
                      text));
    }
    set.seeds.push_back(std::move(score));
    at = end + 1;
  }
  return set;
}

}  // namespace

std::vector<double> RunSet::bits_per_byte() const {
  std::vector<double> values;
  for (const SeedScore& seed : seeds) values.push_back(seed.bits_per_byte);
  return values;
}

std::vector<double> RunSet::losses_nats() const {
  std::vector<double> values;
  for (const SeedScore& seed : seeds) {
    if (!seed.loss_nats) return {};
    values.push_back(*seed.loss_nats);
  }
  return values;
}

std::optional<double> RunSet::tokens_per_byte() const {
  const std::vector<double> losses = losses_nats(), bits = bits_per_byte();
  const double nats = std::accumulate(losses.begin(), losses.end(), 0.0);
  if (losses.empty() || nats <= 0) return {};
  return std::accumulate(bits.begin(), bits.end(), 0.0) * std::numbers::ln2 / nats;
}

Result<RunSet> parse_run_set(std::string_view text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return Failure{"it is no JSON object"};
  RunSet set;
  for (const auto& [key, text] : {std::pair{"name", &set.name},
                                  {"track", &set.track},
                                  {"date", &set.date},
                                  {"blurb", &set.blurb}}) {
    const auto found = json.find(key);
    if (found != json.end() && found->is_string()) *text = found->get<std::string>();
  }
  const auto results = json.find("seed_results");
  if (results != json.end() && results->is_object() && !results->empty()) {
    for (const auto& [seed, result] : results->items()) {
      std::optional<SeedScore> score = read_score(result, seed);
      if (!score) return Failure{fmt::format("its seed {} has no val_bpb that is a number", seed)};
      set.seeds.push_back(std::move(*score));
    }
    return set;
  }
  std::optional<SeedScore> score = read_score(json, "1");
  if (!score) return Failure{std::string("it has no val_bpb that is a number")};
  set.seeds.push_back(std::move(*score));
  return set;
}

RunSet read_run_set(const std::string& where) {
  std::error_code ignored;
  if (!fs::is_directory(where, ignored)) return read_numbers(where);
  if (fs::is_regular_file(fs::path(where) / kFileName, ignored)) return read_folder(where);
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(where)) {
    if (entry.is_directory() && fs::is_regular_file(entry.path() / kFileName, ignored)) {
      folders.push_back(entry.path());
    }
  }
  std::ranges::sort(folders);
  RunSet set;
  for (const fs::path& folder : folders) {
    RunSet one = read_folder(folder);
    if (set.name.empty()) set.name = one.name;
    std::ranges::move(one.seeds, std::back_inserter(set.seeds));
  }
  if (set.seeds.empty()) {
    throw Error(fmt::format(
        "no submission.json in \"{}\" or in its folders; give a record's folder", where));
  }
  return set;
}

}  // namespace pg
