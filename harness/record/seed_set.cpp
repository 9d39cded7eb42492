#include "harness/record/seed_set.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "harness/recipe/recipe_identity.h"
#include "harness/record/compliance.h"
#include "harness/record/tape.h"
#include "harness/statistics/seed_statistics.h"
#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/text/text_escape.h"
#include "src/text/text_format.h"

namespace pg {
namespace {

namespace fs = std::filesystem;
using OrderedJson = nlohmann::ordered_json;

constexpr const char* kTakeAnew = "run it again with --fresh, or take another folder";

RunFolder folder_of_seed(const fs::path& set, int64_t seed) {
  RunFolder folder;
  folder.path = seed_folder(set, seed);
  folder.seed = seed;
  return folder;
}

// A seed's record as it was written.
struct SeedRecord {
  int64_t seed = 0;
  OrderedJson submission, result;  // the whole, and its member of seed_results
  std::string train_data, val_data;

  double number(const char* key) const { return result.at(key).get<double>(); }
};

SeedRecord read_seed(const fs::path& set, int64_t seed) {
  const RunFolder folder = folder_of_seed(set, seed);
  SeedRecord record;
  record.seed = seed;
  try {
    record.submission = OrderedJson::parse(read_text_file(folder.submission()));
    record.result = record.submission.at("seed_results").at(fmt::format("{}", seed));
    for (const char* key :
         {"val_loss", "val_bpb", "artifact_bytes", "steps", "step_avg_ms", "train_wallclock_ms",
          "eval_time_s", "pre_quant_val_bpb", "quantized_val_bpb"}) {
      record.number(key);
    }
  } catch (const OrderedJson::exception&) {
    throw Error(fmt::format("the record of seed {} is damaged: \"{}\"; {}", seed,
                            folder.submission().string(), kTakeAnew));
  }
  const Result<Tape> tape = read_tape(read_text_file(folder.tape()));
  if (!tape.ok()) {
    throw Error(
        fmt::format("the tape of seed {} is damaged: {}; {}", seed, tape.error(), kTakeAnew));
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

void require_alike(const SeedRecord& record, const SeedRecord& first) {
  const auto fail = [&](const char* what) {
    throw Error(fmt::format("seed {} was run with another {} than seed {}; {}", record.seed, what,
                            first.seed, kTakeAnew));
  };
  for (const auto& [key, what] : {std::pair{"tokenizer_sha256", "tokenizer"},
                                  {"track", "track"},
                                  {"val_bpb_is", "way of scoring"},
                                  {"bytes_cap", "cap"}}) {
    if (record.submission.value(key, OrderedJson()) != first.submission.value(key, OrderedJson()))
      fail(what);
  }
  if (record.train_data != first.train_data) fail("training text");
  if (record.val_data != first.val_data) fail("validation text");
}

std::vector<SeedRecord> read_seeds(const fs::path& set, const std::vector<int64_t>& seeds) {
  std::vector<SeedRecord> records;
  for (const int64_t seed : seeds) {
    records.push_back(read_seed(set, seed));
    require_alike(records.back(), records.front());
  }
  return records;
}

Spread spread(const std::vector<SeedRecord>& records, const char* key) {
  std::vector<double> values;
  for (const SeedRecord& record : records) values.push_back(record.number(key));
  return spread_of(values);
}

// True where it is so of every seed; what only the set has is said anew.
OrderedJson join_compliance(const std::vector<SeedRecord>& records,
                            const std::vector<int64_t>& seeds) {
  OrderedJson joined = records.front().submission.value("compliance", OrderedJson::object());
  for (auto& [key, value] : joined.items()) {
    for (const SeedRecord& record : records) {
      const OrderedJson& own = record.submission.at("compliance");
      value = value.is_boolean() && value.get<bool>() && own.value(key, false);
    }
  }
  joined["three_seeds"] = has_three_seeds(seeds);
  return joined;
}

std::string write_submission(const std::vector<SeedRecord>& records,
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
  for (const SeedRecord& record : records) {
    const std::string seed = fmt::format("{}", record.seed);
    json["seed_results"][seed] = record.result;
    json["logs"][seed] = RunFolder::log_name(record.seed);
  }
  return json.dump(2) + "\n";
}

std::string write_table(const std::vector<SeedRecord>& records) {
  std::string text =
      "| seed | steps | ms/step | before quantisation, bpb | artifact, bpb | score, bpb | loss, "
      "nats | "
      "training, s | scoring, s | artifact, bytes |\n|---|---|---|---|---|---|---|---|---|---|\n";
  for (const SeedRecord& r : records) {
    text += fmt::format(
        "| [{0}](seed_{0}) | {1} | {2:.2f} | {3:.4f} | {4:.4f} | **{5:.6f}** | {6:.6f} | {7:.1f} | "
        "{8:.1f} | {9} |\n",
        r.seed, format_thousands(r.result.at("steps").get<int64_t>()), r.number("step_avg_ms"),
        r.number("pre_quant_val_bpb"), r.number("quantized_val_bpb"), r.number("val_bpb"),
        r.number("val_loss"), r.number("train_wallclock_ms") / 1e3, r.number("eval_time_s"),
        format_thousands(r.result.at("artifact_bytes").get<int64_t>()));
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

std::string write_readme(const std::vector<SeedRecord>& records,
                         const std::vector<int64_t>& seeds) {
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
      "\nThe score is {}. Each seed's folder holds its whole record.\n\n## Repeat\n\n"
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

SeedSet describe_seed_set(const fs::path& set, const std::vector<int64_t>& seeds) {
  const std::vector<SeedRecord> records = read_seeds(set, seeds);
  return {write_submission(records, seeds), write_readme(records, seeds)};
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
