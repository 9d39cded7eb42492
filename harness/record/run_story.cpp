#include "harness/record/run_story.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "harness/record/submission_folder.h"
#include "harness/record/tape.h"
#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/files/inner_file.h"
#include "src/text/text_format.h"

namespace pg {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr uint64_t kMostBytes = uint64_t{1} << 28;  // of a log, a tape or events

// A plain file's text; empty with a remark where it is there and cannot be read.
std::optional<std::string> read_inner(const fs::path& folder, const std::string& name,
                                      RunStory& story) {
  const InnerFile inner = open_inner_file(folder, name);
  if (inner.state == InnerFileState::kMissing) return std::nullopt;
  try {
    if (inner.state != InnerFileState::kOpen) {
      throw Error(fmt::format("\"{}\" {}", name, inner.describe()));
    }
    const Bytes bytes = read_file(folder / name, kMostBytes);
    return std::string(bytes.begin(), bytes.end());
  } catch (const Error& error) {
    story.remarks.emplace_back(error.what());
    return std::nullopt;
  }
}

// The only log of the folder, by the names that runs give.
std::string find_log(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    std::string name = entry.path().filename().string();
    if (name.starts_with("train") && name.ends_with(".log")) names.push_back(std::move(name));
  }
  return names.size() == 1 ? names.front() : std::string();
}

// What the tape tells of steps where there is no run.jsonl: earlier ones say no losses, which a log does, of some steps.
void add_tape(const std::string& text, RunStory& story) {
  const Result<Tape> tape = read_tape(text);
  if (!tape.ok()) {
    story.remarks.push_back(fmt::format("tape.jsonl: {}", tape.error()));
    return;
  }
  story.events.steps.clear();
  std::vector<LossPoint> losses;
  const auto batch_tokens =
      story.recipe ? static_cast<double>(story.recipe->train.batch_tokens) : 0;
  for (const TapeStep& step : tape.value().steps) {
    story.events.steps.push_back(
        {.step = step.step,
         .train_s = step.train_s,
         .lr_multiplier = step.lr_multiplier,
         .tokens_per_s = step.step_s > 0 ? batch_tokens / step.step_s : 0});
    if (step.loss_nats) losses.push_back({step.step, step.train_s, *step.loss_nats, 0});
  }
  if (losses.size() == tape.value().steps.size()) story.events.curve.train = std::move(losses);
  if (tape.value().stop) story.events.stop_reason = tape.value().stop->reason;
}

void add_submission(const std::string& text, RunStory& story) {
  const Result<RunSet> result = parse_run_set(text);
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!result.ok() || !json.is_object()) {
    story.remarks.push_back(
        fmt::format("submission.json: {}", result.ok() ? "it is no JSON object" : result.error()));
    return;
  }
  story.result = result.value();
  if (!result.value().name.empty()) story.name = result.value().name;
  const auto number = [&](const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_number() ? found->get<double>() : 0.0;
  };
  const auto bytes = [&](const char* key) {
    constexpr double kMost = 9007199254740992.0;  // 2^53
    return static_cast<int64_t>(std::clamp(number(key), 0.0, kMost));
  };
  for (const char* key : {"track", "date", "val_bpb_is", "val_bpb_from", "hardware", "device",
                          "program", "tokenizer_sha256"}) {
    const auto found = json.find(key);
    if (found != json.end() && found->is_string()) {
      story.facts.emplace_back(key, found->get<std::string>());
    }
  }
  if (const int64_t params = bytes("model_params"); params > 0) {
    story.facts.emplace_back("parameters", format_thousands(params));
  }
  story.model_bytes = bytes("bytes_model");
  story.code_bytes = bytes("bytes_code");
  story.cap_bytes = bytes("bytes_cap");
  const double total_s = number("total_time_s"), train_s = number("wallclock_seconds"),
               calibrate_s = number("calibrate_time_s"), eval_s = number("eval_time_s");
  story.times_s = {{"training", train_s - calibrate_s},
                   {"calibration", calibrate_s},
                   {"scoring", eval_s},
                   {"all else", total_s - train_s - eval_s}};
  std::erase_if(story.times_s, [](const auto& time) { return !(time.second > 0); });
  // Where run.jsonl is not there; the stages of a single seed.
  const auto seeds = json.find("seed_results");
  if (!story.events.stages.empty() || seeds == json.end() || !seeds->is_object()) return;
  for (const auto& [seed, one] : seeds->items()) {
    for (const auto& [key, stage] : {std::pair{"pre_quant_val_bpb", "pre_quant"},
                                     {"quantized_val_bpb", "roundtrip"},
                                     {"val_bpb", "final"}}) {
      const auto found = one.is_object() ? one.find(key) : one.end();
      if (found != one.end() && found->is_number()) {
        story.events.stages.push_back({stage, found->get<double>()});
      }
    }
    break;
  }
}

RunStory read_story(const fs::path& folder, const std::string& name) {
  RunStory story;
  story.name = name;
  if (const auto text = read_inner(folder, "recipe.toml", story)) {
    try {
      apply_toml(story.recipe.emplace(), *text, "recipe.toml");
    } catch (const Error& error) {
      story.recipe.reset();
      story.remarks.emplace_back(error.what());
    }
  }
  if (const auto events = read_inner(folder, "run.jsonl", story)) {
    story.events = read_run_events(*events);
  } else {
    const std::string log = find_log(folder);
    const auto text = log.empty() ? std::nullopt : read_inner(folder, log, story);
    if (text) story.events = read_log_events(*text);
    if (const auto tape = read_inner(folder, "tape.jsonl", story)) add_tape(*tape, story);
  }
  if (const auto text = read_inner(folder, "submission.json", story)) {
    add_submission(*text, story);
  } else {
    story.remarks.emplace_back(
        "no submission.json: the run has not ended, or ended without a record");
  }
  return story;
}

std::string name_of(const fs::path& folder) {
  const fs::path normal = fs::absolute(folder).lexically_normal();
  return (normal.filename().empty() ? normal.parent_path() : normal).filename().string();
}

}  // namespace

std::vector<RunStory> read_run_stories(const fs::path& folder) {
  const auto has = [&](const char* name) {
    return open_inner_file(folder, name).state == InnerFileState::kOpen;
  };
  if (!has("run.jsonl") && !has("submission.json") && !has("tape.jsonl") && !has("recipe.toml") &&
      find_log(folder).empty()) {
    throw Error(fmt::format(
        "nothing of a run in \"{}\"; give the folder of a run, a record or train_gpt seeds",
        folder.string()));
  }
  std::vector<RunStory> stories;
  // Of a set each seed: its folders hold more than the set says of them.
  if (has("submission.json") && !has("tape.jsonl") && !has("run.jsonl")) {
    try {
      for (const SeedPlace& place : list_seed_places(folder)) {
        const std::string name = fmt::format("{}/seed_{}", name_of(folder), place.seed);
        if (fs::is_directory(fs::symlink_status(place.folder))) {
          stories.push_back(read_story(place.folder, name));
          stories.back().name += fmt::format(" seed {}", place.seed);
        }
      }
    } catch (const Error&) {
      stories.clear();  // a record of another program
    }
  }
  if (stories.empty()) stories.push_back(read_story(folder, name_of(folder)));
  return stories;
}

}  // namespace pg
