#include "harness/record/submission_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "harness/recipe/recipe_changes.h"
#include "harness/record/run_folder.h"
#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/files/inner_file.h"
#include "src/files/write_file.h"
#include "src/text/text_escape.h"
#include "src/text/text_format.h"

namespace pg {
namespace {

namespace fs = std::filesystem;
using OrderedJson = nlohmann::ordered_json;

constexpr int64_t kCapBytes = 16'000'000;  // of the challenge: the artifact and its code
constexpr const char* kRecordTrack = "10min_16mb";

// Of a record that may be damaged: what is no JSON, or lacks a key, is a user's mistake.
OrderedJson read_json(const fs::path& file) {
  OrderedJson json = OrderedJson::parse(read_text_file(file), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    throw Error(fmt::format("\"{}\" is no record's: it is no JSON object", file.string()));
  }
  return json;
}

std::string text_of(const OrderedJson& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

int64_t count_of(const OrderedJson& json, const char* key) {
  const auto found = json.find(key);
  if (found != json.end() && found->is_number_integer()) return found->get<int64_t>();
  throw Error(fmt::format("submission.json of the record has no number \"{}\"", key));
}

// "2026-03-24_Wide_MLP": what the challenge's folders are called.
std::string folder_name(const std::string& date, const std::string& name) {
  constexpr size_t kMostBytes = 100;
  std::string text = date + '_';
  for (const char c : name) {
    const bool is_kept = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                         (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '+';
    if (is_kept) {
      text += c;
    } else if (text.back() != '_') {
      text += '_';
    }
  }
  while (text.back() == '_') text.pop_back();
  return text.substr(0, kMostBytes);
}

bool is_date(std::string_view text) {
  constexpr std::string_view kForm = "0000-00-00";
  return std::equal(text.begin(), text.end(), kForm.begin(), kForm.end(), [](char c, char form) {
    return form == '0' ? c >= '0' && c <= '9' : c == form;
  });
}

void add_names(const SubmissionNames& names, OrderedJson& json) {
  for (const auto& [key, text] : {std::pair{"author", &names.author},
                                  {"github_id", &names.github_id},
                                  {"name", &names.name}}) {
    if (!text->empty()) json[key] = *text;
  }
}

std::string write_ledger(const Submission& s) {
  std::string text = "## Bytes\n\n| what | bytes |\n|---|---|\n";
  const auto row = [&](const char* what, int64_t bytes) {
    text += fmt::format("| {} | {} |\n", what, format_thousands(bytes));
  };
  row("largest model of the seeds", s.most_model_bytes);
  row("counted code of the logs: the packed sources that alone build scorer and decoder",
      s.scorer_bytes);
  row("train_gpt.py: the packed sources of the whole program, training included", s.launcher_bytes);
  row("**total, with the larger of the two**", s.total_bytes());
  row("cap", kCapBytes);
  return text + "\nThe logs' totals count the first of the two.\n";
}

std::string write_rules(const OrderedJson& json) {
  std::string text =
      "## Rules\n\n"
      "The program's evaluator owns the targets. A scorer gives a whole distribution over the "
      "vocabulary for the next token (normalised; checked through the scoring path), is charged "
      "for the token, is told it, and only then may learn from it (score first); the text is read "
      "once, from left to right.\n\n| rule | kept |\n|---|---|\n";
  const auto rules = json.find("compliance");
  if (rules == json.end() || !rules->is_object()) return text;
  for (const auto& [key, value] : rules->items()) {
    if (!value.is_boolean()) continue;
    text += fmt::format("| {} | {} |\n", escape_markdown(key), value.get<bool>() ? "yes" : "no");
  }
  return text;
}

std::string write_recipe_part(const fs::path& record) {
  Recipe recipe;
  apply_toml(recipe, read_text_file(record / "recipe.toml"), "recipe.toml");
  std::string keys = write_changes(list_changes(recipe, Recipe()));
  // Nothing of a text may end the block.
  std::replace(keys.begin(), keys.end(), '`', '\'');
  return fmt::format(
      "## Recipe\n\nWhat differs from the program's defaults; the whole stands in train_gpt.py and "
      "at the head of each log.\n\n```toml\n{}```\n",
      keys);
}

std::string write_submission_readme(const OrderedJson& json, const SeedSet& set,
                                    const Submission& s, const fs::path& record) {
  std::string text =
      fmt::format("# {}: {:.4f} bits per byte", escape_markdown(text_of(json, "name")),
                  json.at("val_bpb").get<double>());
  const auto deviation = json.find("val_bpb_std");
  if (deviation != json.end()) {
    text += fmt::format(", std {:.4f} over {} seeds", deviation->get<double>(),
                        json.at("seeds").size());
  }
  text += fmt::format(", at most {} bytes\n\n", format_thousands(s.total_bytes()));
  if (!text_of(json, "blurb").empty()) text += escape_markdown(text_of(json, "blurb")) + "\n\n";
  text += fmt::format("{}\nThe score is `{}`: {}. Hardware: {}.\n\n", set.table,
                      text_of(json, "val_bpb_is"), escape_markdown(text_of(json, "val_bpb_from")),
                      escape_markdown(text_of(json, "hardware")));
  text += write_ledger(s) + "\n" + write_rules(json) + "\n" + write_recipe_part(record);
  text +=
      "\n## Run\n\n```\npython3 train_gpt.py --unpack sources   # packages.txt there lists what "
      "the "
      "build takes\nSEED=1337 python3 train_gpt.py           # builds, trains, packs, scores\n"
      "python3 train_gpt.py --help              # every command: eval, audit, encode, decode, "
      "replay\n```\n\nThe recipe names the shards and the tokenizer; TOKENIZER_PATH and `--set "
      "data.train_shards=...` name others.\n";
  return text;
}

}  // namespace

std::vector<SeedPlace> list_seed_places(const fs::path& record) {
  const fs::path file = record / "submission.json";
  if (open_inner_file(record, "submission.json").state != InnerFileState::kOpen) {
    throw Error(fmt::format(
        "no finished record in \"{}\": it has no submission.json; give the folder of a run or of "
        "train_gpt seeds",
        record.string()));
  }
  const OrderedJson json = read_json(file);
  const auto seeds = json.find("seeds");
  std::vector<SeedPlace> places;
  const bool is_single = open_inner_file(record, "tape.jsonl").state == InnerFileState::kOpen;
  if (seeds != json.end() && seeds->is_array()) {
    for (const OrderedJson& seed : *seeds) {
      if (!seed.is_number_integer()) continue;
      const auto number = seed.get<int64_t>();
      places.push_back({number, is_single ? record : seed_folder(record, number)});
    }
  }
  if (places.empty() || (is_single && places.size() != 1)) {
    throw Error(fmt::format(
        "\"{}\" does not say which seeds it is of; give a record of this program", file.string()));
  }
  return places;
}

Submission describe_submission(const std::vector<SeedPlace>& places, const SubmissionNames& names,
                               int64_t launcher_bytes) {
  const SeedSet set = describe_seeds(places);
  OrderedJson json = OrderedJson::parse(set.submission_json);
  add_names(names, json);
  const std::string date = text_of(json, "date"), name = text_of(json, "name");
  if (!is_date(date) || name.empty()) {
    throw Error(
        "the record has no date as 2026-03-24, or no name; give them to the run, as record.date "
        "and record.name");
  }
  const bool is_record = text_of(json, "track") == kRecordTrack;
  Submission s;
  s.folder = fs::path("records") / (is_record ? "track_10min_16mb" : "track_non_record_16mb") /
             folder_name(date, name);
  s.scorer_bytes = count_of(json, "bytes_code");
  s.launcher_bytes = launcher_bytes;
  s.most_model_bytes = count_of(json, "bytes_total") - s.scorer_bytes;
  if (s.total_bytes() > kCapBytes) {
    throw Error(fmt::format(
        "the largest model ({} bytes) and train_gpt.py ({}) are {} bytes, the challenge takes {}; "
        "train or pack with quant.cap_bytes = {}",
        format_thousands(s.most_model_bytes), format_thousands(launcher_bytes),
        format_thousands(s.total_bytes()), format_thousands(kCapBytes),
        kCapBytes - launcher_bytes + s.scorer_bytes));
  }
  json["track"] = is_record ? kRecordTrack : "non_record_16mb";
  json["bytes_total"] = s.total_bytes();
  json["bytes_code"] = std::max(s.scorer_bytes, launcher_bytes);
  json["bytes_code_scorer"] = s.scorer_bytes;
  json["bytes_model_max"] = s.most_model_bytes;
  json["bytes_cap"] = kCapBytes;
  if (places.size() == 1) {  // one value has no deviation
    for (const char* key :
         {"val_loss_std", "val_bpb_std", "val_loss_std_population", "val_bpb_std_population"}) {
      json.erase(key);
    }
  }
  s.submission_json = json.dump(2) + "\n";
  s.readme = write_submission_readme(json, set, s, places.front().folder);
  return s;
}

void write_submission(const fs::path& root, const std::vector<SeedPlace>& places,
                      const Submission& submission, const std::string& launcher) {
  const fs::path folder = root / submission.folder;
  std::error_code ignored;
  if (fs::exists(fs::symlink_status(folder, ignored))) {
    throw Error(fmt::format("\"{}\" is there already; move it away, or give another --name",
                            folder.string()));
  }
  for (const SeedPlace& place : places) {
    const std::string log = RunFolder::log_name(place.seed);
    const InnerFile inner = open_inner_file(place.folder, log);
    if (inner.state != InnerFileState::kOpen) {
      throw Error(fmt::format("\"{}\" {}", (place.folder / log).string(), inner.describe()));
    }
    write_file_atomic(folder / log, read_file(place.folder / log));
  }
  write_file_atomic(folder / "train_gpt.py", launcher);
  write_file_atomic(folder / "README.md", submission.readme);
  write_file_atomic(
      folder / "requirements.txt",
      std::string_view("# No Python packages: train_gpt.py needs Python alone, and what "
                       "its build takes stands in\n# packages.txt among the sources "
                       "that it unpacks.\n"));
  write_file_atomic(folder / "submission.json", submission.submission_json);
}

}  // namespace pg
