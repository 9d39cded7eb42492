#include "harness/record/seed_set.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "harness/recipe/recipe_identity.h"
#include "harness/record/compliance.h"
#include "harness/record/seed_record.h"
#include "harness/statistics/seed_statistics.h"
#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/text/text_escape.h"
#include "src/text/text_format.h"

namespace pg {
namespace {

namespace fs = std::filesystem;
using OrderedJson = nlohmann::ordered_json;

// A seed's record and, as JSON, what its submission.json copies from it.
struct SeedJson {
  SeedRecord record;
  OrderedJson submission, result;  // the whole, and its member of seed_results

  double number(const char* key) const { return result.at(key).get<double>(); }
};

std::vector<SeedJson> read_seeds(const std::vector<SeedPlace>& places) {
  std::vector<SeedJson> records;
  for (const SeedPlace& place : places) {
    SeedJson json;
    json.record = read_seed_record(place.folder, place.seed, kTakeAnew);
    json.submission = OrderedJson::parse(json.record.submission_json);
    json.result = json.submission.at("seed_results").at(fmt::format("{}", place.seed));
    records.push_back(std::move(json));
    const SeedRecord& first = records.front().record;
    if (const std::string other = find_other_setting(records.back().record, first);
        !other.empty()) {
      throw Error(fmt::format("seed {} was run with another {} than seed {}; {}", place.seed, other,
                              first.seed, kTakeAnew));
    }
  }
  return records;
}

Spread spread(const std::vector<SeedJson>& records, const char* key) {
  std::vector<double> values;
  for (const SeedJson& record : records) values.push_back(record.number(key));
  return spread_of(values);
}

// True where it is so of every seed; what only the set has is said anew.
OrderedJson join_compliance(const std::vector<SeedJson>& records,
                            const std::vector<int64_t>& seeds) {
  OrderedJson joined = records.front().submission.value("compliance", OrderedJson::object());
  for (auto& [key, value] : joined.items()) {
    for (const SeedJson& record : records) {
      const OrderedJson& own = record.submission.at("compliance");
      value = value.is_boolean() && value.get<bool>() && own.value(key, false);
    }
  }
  joined["three_seeds"] = has_three_seeds(seeds);
  return joined;
}

std::string write_submission(const std::vector<SeedJson>& records,
                             const std::vector<int64_t>& seeds) {
  const OrderedJson& first = records.front().submission;
  const Spread bits = spread(records, "val_bpb"), loss = spread(records, "val_loss"),
               bytes = spread(records, "artifact_bytes"), steps = spread(records, "steps"),
               train_ms = spread(records, "train_wallclock_ms"),
               step_ms = spread(records, "step_avg_ms"), eval_s = spread(records, "eval_time_s");
  OrderedJson json;
  const auto copy = [&](const char* key) {
    if (first.contains(key)) json[key] = first.at(key);
  };
  for (const char* key : {"author", "github_id", "name", "blurb", "date", "track"}) copy(key);
  json["val_loss"] = loss.mean;
  json["val_bpb"] = bits.mean;
  json["val_loss_std"] = loss.sample_std;
  json["val_bpb_std"] = bits.sample_std;
  json["val_loss_std_population"] = loss.population_std;
  json["val_bpb_std_population"] = bits.population_std;
  for (const char* key : {"val_bpb_is", "val_bpb_from"}) copy(key);
  json["seeds"] = seeds;
  json["artifact_bytes_mean"] = bytes.mean;
  json["artifact_bytes_max"] = static_cast<int64_t>(bytes.most);
  json["bytes_total"] = static_cast<int64_t>(bytes.most);
  for (const char* key : {"bytes_code", "bytes_cap", "model_params"}) copy(key);
  json["train_steps_mean"] = steps.mean;
  json["step_avg_ms_mean"] = step_ms.mean;
  json["train_wallclock_ms_mean"] = train_ms.mean;
  json["train_wallclock_ms_max"] = train_ms.most;
  json["eval_time_s_mean"] = eval_s.mean;
  json["eval_time_s_max"] = eval_s.most;
  for (const char* key : {"hardware", "device", "track_hardware", "program", "threads",
                          "tokenizer_sha256", "data_faults"}) {
    copy(key);
  }
  json["compliance"] = join_compliance(records, seeds);
  for (const SeedJson& record : records) {
    const std::string seed = fmt::format("{}", record.record.seed);
    json["seed_results"][seed] = record.result;
    json["logs"][seed] = RunFolder::log_name(record.record.seed);
  }
  return json.dump(2) + "\n";
}

std::string write_table(const std::vector<SeedJson>& records) {
  std::string text =
      "| seed | steps | ms/step | before quantisation, bpb | artifact, bpb | score, bpb | loss, "
      "nats | "
      "training, s | scoring, s | artifact, bytes |\n|---|---|---|---|---|---|---|---|---|---|\n";
  for (const SeedJson& r : records) {
    text += fmt::format(
        "| {} | {} | {:.2f} | {:.4f} | {:.4f} | **{:.6f}** | {:.6f} | {:.1f} | {:.1f} | {} |\n",
        r.record.seed, format_thousands(r.result.at("steps").get<int64_t>()),
        r.number("step_avg_ms"), r.number("pre_quant_val_bpb"), r.number("quantized_val_bpb"),
        r.number("val_bpb"), r.number("val_loss"), r.number("train_wallclock_ms") / 1e3,
        r.number("eval_time_s"), format_thousands(r.result.at("artifact_bytes").get<int64_t>()));
  }
  const Spread bits = spread(records, "val_bpb"), loss = spread(records, "val_loss");
  const auto row = [&](const char* what, double Spread::*of) {
    text += fmt::format("| {} | | | | | {:.6f} | {:.6f} | | | |\n", what, bits.*of, loss.*of);
  };
  row("**mean**", &Spread::mean);
  row("std, sample (n - 1)", &Spread::sample_std);
  row("std, population (n)", &Spread::population_std);
  return text;
}

std::string write_readme(const std::vector<SeedJson>& records, const std::vector<int64_t>& seeds) {
  const OrderedJson& first = records.front().submission;
  const auto text_of = [&](const char* key) { return first.value(key, std::string()); };
  const Spread bits = spread(records, "val_bpb"), bytes = spread(records, "artifact_bytes");
  std::string text = fmt::format(
      "# {}: {:.4f} bits per byte, std {:.4f} over {} seeds, artifacts of at most {} bytes\n\n",
      escape_markdown(text_of("name")), bits.mean, bits.sample_std, records.size(),
      format_thousands(static_cast<int64_t>(bytes.most)));
  if (!text_of("blurb").empty()) text += escape_markdown(text_of("blurb")) + "\n\n";
  text += fmt::format("Track {}, {}, cap {} bytes, {}.\n\n", escape_markdown(text_of("track")),
                      text_of("date"), format_thousands(first.value("bytes_cap", int64_t{0})),
                      escape_markdown(text_of("hardware")));
  text += write_table(records);
  text += fmt::format(
      "\nThe score is {}. The folders `seed_<n>` hold each seed's whole record.\n\n## Repeat\n\n"
      "```\ntrain_gpt seeds recipe.toml --seeds {} --out again\n```\n\n"
      "`train_gpt compare` tests this set against another.\n",
      escape_markdown(text_of("val_bpb_from")), fmt::join(seeds, ","));
  return text;
}

}  // namespace

fs::path seed_folder(const fs::path& set, int64_t seed) {
  return set / fmt::format("seed_{}", seed);
}

bool is_seed_finished(const fs::path& path, const Recipe& recipe) {
  RunFolder folder;
  folder.path = path;
  std::error_code ignored;
  if (!fs::exists(folder.submission(), ignored)) return false;
  Recipe before;
  apply_toml(before, read_text_file(folder.recipe()), folder.recipe().string());
  const std::string difference = describe_difference(recipe, before, [](const FieldInfo& info) {
    return is_identifying(info, Affects::kTraining | Affects::kPacking | Affects::kScoring);
  });
  if (difference.empty()) return true;
  throw Error(fmt::format("seed {} was run with another recipe: \"{}\" ({}); {}", recipe.train.seed,
                          path.string(), difference, kTakeAnew));
}

SeedSet describe_seeds(const std::vector<SeedPlace>& places) {
  const std::vector<SeedJson> records = read_seeds(places);
  std::vector<int64_t> seeds;
  for (const SeedPlace& place : places) seeds.push_back(place.seed);
  return {write_submission(records, seeds), write_table(records), write_readme(records, seeds)};
}

SeedSet describe_seed_set(const fs::path& set, const std::vector<int64_t>& seeds) {
  std::vector<SeedPlace> places;
  for (const int64_t seed : seeds) places.push_back({seed, seed_folder(set, seed)});
  return describe_seeds(places);
}

void write_seed_set(const RunFolder& set, const Recipe& recipe, const std::vector<int64_t>& seeds) {
  const SeedSet described = describe_seed_set(set.path, seeds);
  set.write(set.recipe(), write_recipe(recipe));
  for (const int64_t seed : seeds) {
    const std::string log = RunFolder::log_name(seed);
    set.write(set.path / log, read_text_file(seed_folder(set.path, seed) / log));
  }
  set.write(set.readme(), described.readme);
  set.write(set.submission(), described.submission_json);
}

}  // namespace pg
