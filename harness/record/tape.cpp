#include "harness/record/tape.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

namespace pg {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMostSteps = int64_t{1} << 53;
constexpr const char* kTakeAgain = "take the record again from where it came from";

// Of a start line: text and whole numbers as they are, the texts of a list with spaces between them.
std::string describe(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "true" : "false";
  if (value.is_number_unsigned()) return std::to_string(value.get<uint64_t>());
  if (value.is_number_integer()) return std::to_string(value.get<int64_t>());
  std::string texts;
  for (size_t i = 0; value.is_array() && i < value.size(); ++i) {
    if (!value[i].is_string()) continue;
    if (!texts.empty()) texts += ' ';
    texts += value[i].get<std::string>();
  }
  return texts;
}

// Members of one line; the first that is missing or of another kind is remembered.
class LineReader {
 public:
  explicit LineReader(const Json& json) : json_(json) {}

  std::string text(const char* key) {
    const Json* value = find(key, [](const Json& v) { return v.is_string(); });
    return value == nullptr ? std::string() : value->get<std::string>();
  }
  double number(const char* key, std::optional<double> missing = {}) {
    if (missing && !json_.contains(key)) return *missing;
    const Json* value = find(key, [](const Json& v) { return v.is_number(); });
    return value == nullptr ? 0 : value->get<double>();
  }
  int64_t count(const char* key, std::optional<int64_t> missing = {}) {
    if (missing && !json_.contains(key)) return *missing;
    const Json* value = find(key, [](const Json& v) {
      return v.is_number_unsigned() && v.get<uint64_t>() <= uint64_t{kMostSteps};
    });
    return value == nullptr ? 0 : static_cast<int64_t>(value->get<uint64_t>());
  }
  bool flag(const char* key) {
    const Json* value = find(key, [](const Json& v) { return v.is_boolean(); });
    return value != nullptr && value->get<bool>();
  }
  std::map<std::string, std::string> texts(const char* key) {
    std::map<std::string, std::string> texts;
    const Json* value = find(key, [](const Json& v) { return v.is_object(); });
    if (value == nullptr) return texts;
    for (const auto& [name, text] : value->items()) {
      if (text.is_string()) {
        texts[name] = text.get<std::string>();
      } else {
        bad_ = key;
      }
    }
    return texts;
  }
  const std::string& bad() const { return bad_; }  // "": all were there

 private:
  template <class Is>
  const Json* find(const char* key, const Is& is) {
    const auto found = json_.find(key);
    if (found != json_.end() && is(*found)) return &*found;
    if (bad_.empty()) bad_ = key;
    return nullptr;
  }

  const Json& json_;
  std::string bad_;
};

class TapeReader {
 public:
  Result<Tape> read(std::string_view text) {
    if (text.empty()) {
      return Failure{fmt::format("line 1: there is none, the tape is empty; {}", kTakeAgain)};
    }
    while (!text.empty() && error_.empty()) {
      const size_t end = text.find('\n');
      ++tape_.lines;
      if (end == std::string_view::npos) {
        fail("is cut off before its end",
             "a run goes on from its checkpoint when it is started again");
        break;
      }
      read_line(text.substr(0, end));
      text.remove_prefix(end + 1);
    }
    if (!error_.empty()) return Failure{error_};
    return std::move(tape_);
  }

 private:
  void fail(std::string_view what, std::string_view advice = kTakeAgain) {
    if (error_.empty()) error_ = fmt::format("line {}: {}; {}", tape_.lines, what, advice);
  }

  void read_line(std::string_view line) {
    const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) return fail("is no JSON object");
    if (tape_.lines == 1) read_format(json, line);
    if (!error_.empty()) return;
    if (tape_.format == kTapeFormat && !tape_.chain.follow(line)) {
      return fail(
          "its chain is not that of the lines before it: it was changed, or lines before it were "
          "changed, removed, added or moved");
    }
    if (tape_.end) return fail("stands behind the closing line");
    LineReader reader(json);
    const std::string event = json.contains("event") ? reader.text("event") : "step";
    if (event == "step") read_step(reader, json);
    if (event == "start") read_start(json);
    if (event == "stop") read_stop(reader);
    if (event == "end") read_end(reader);
    if (!reader.bad().empty()) {
      fail(fmt::format("\"{}\" is missing or of another kind than it should be", reader.bad()));
    }
  }

  void read_format(const Json& json, std::string_view line) {
    LineReader reader(json);
    if (!json.contains("event") || reader.text("event") != "start")
      return fail("is no start of a tape");
    tape_.format = reader.count("tape_format");
    if (!reader.bad().empty()) return fail("does not say its tape_format");
    if (tape_.format != 1 && tape_.format != kTapeFormat) {
      return fail(fmt::format("tape_format {} is not known here, formats 1 and {} are",
                              tape_.format, kTapeFormat),
                  "use the version of the program that wrote it");
    }
    if (tape_.format == 1 && is_chained(line)) fail("is chained, which a tape of format 1 is not");
  }

  void read_start(const Json& json) {
    TapePart part = {.line = tape_.lines, .identity = {}};
    for (const auto& [key, value] : json.items()) part.identity[key] = describe(value);
    tape_.parts.push_back(std::move(part));
  }

  void read_step(LineReader& reader, const Json& json) {
    const bool is_old = tape_.format == 1;  // the first tapes do not say what a step was decided by
    TapeStep step;
    step.line = tape_.lines;
    step.step = reader.count("step");
    step.train_s = reader.number("train_s");
    step.step_s = reader.number("step_s");
    step.decided_s = reader.number("decided_s", is_old ? std::optional(0.0) : std::nullopt);
    step.end_s = reader.number("end_s", is_old ? std::optional(0.0) : std::nullopt);
    step.lr_multiplier = reader.number("lr_multiplier");
    step.next_window = reader.count("next_window");
    step.swa_snapshots = reader.count("swa_snapshots", 0);
    if (json.contains("loss_nats")) step.loss_nats = reader.number("loss_nats");
    if (!reader.bad().empty()) return;
    const int64_t told = last_step();
    if (step.step <= told) {
      return fail(fmt::format("tells of step {} behind step {}", step.step, told));
    }
    note_gap(told, step.step - 1);
    tape_.steps.push_back(step);
  }

  void read_stop(LineReader& reader) {
    TapeStop stop;
    stop.line = tape_.lines;
    stop.step = reader.count("step");
    stop.reason = reader.text("reason");
    stop.averaging = reader.text("averaging");
    if (!reader.bad().empty()) return;
    if (stop.step < last_step()) {
      return fail(fmt::format("training stops at step {}, behind step {}", stop.step, last_step()));
    }
    note_gap(last_step(), stop.step);
    tape_.stop = stop;
  }

  void read_end(LineReader& reader) {
    TapeEnd end;
    end.line = tape_.lines;
    end.steps = reader.count("steps");
    end.artifact = reader.text("artifact");
    end.val_bpb = reader.text("val_bpb");
    end.is_exact = reader.flag("exact");
    end.coded_tokens = reader.count("coded_tokens", 0);
    end.text_bytes = reader.count("text_bytes");
    end.payload_bytes = reader.count("payload_bytes");
    end.files = reader.texts("files");
    end.optional_files = reader.texts("may_be_left_out");
    if (!reader.bad().empty()) return;
    if (end.steps < last_step()) {
      return fail(fmt::format("closes a run of {} steps, behind step {}", end.steps, last_step()));
    }
    if (!tape_.stop) note_gap(last_step(), end.steps);
    tape_.end = std::move(end);
  }

  int64_t last_step() const { return tape_.steps.empty() ? 0 : tape_.steps.back().step; }

  // Between what is told and step `last`.
  void note_gap(int64_t told, int64_t last) {
    if (told >= last) return;
    tape_.gaps.push_back(told + 1 == last
                             ? fmt::format("step {} is missing before line {}", last, tape_.lines)
                             : fmt::format("steps {} to {} are missing before line {}", told + 1,
                                           last, tape_.lines));
  }

  Tape tape_;
  std::string error_;
};

}  // namespace

Result<Tape> read_tape(std::string_view text) { return TapeReader().read(text); }

}  // namespace pg
