#include "harness/record/log_rewind.h"

#include <fmt/format.h>

#include <charconv>
#include <system_error>
#include <vector>

#include "src/base/bytes.h"
#include "src/files/write_file.h"
#include "src/text/json_object.h"

namespace pg {
namespace {

// Whole lines, with their line breaks; a last one without is what a kill has cut.
std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  for (size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
    lines.push_back(text.substr(0, end + 1));
    text.remove_prefix(end + 1);
  }
  return lines;
}

// A line of run.jsonl or tape.jsonl. A step has grad_norm (in the tape next_window), a validation
// val_loss_nats; other events use the word step otherwise.
struct Event {
  bool is_valid = false, is_step = false, is_validation = false;
  int64_t step = 0, log_bytes = -1;
};

Event read_event(std::string_view line) {
  Event event;
  std::vector<JsonNumber> numbers;
  event.is_valid = read_json_numbers(line, numbers);
  for (const JsonNumber& number : numbers) {
    const std::string& key = number.key;
    if (key == "step") event.step = number.whole();
    if (key == "log_bytes") event.log_bytes = number.whole();
    event.is_step |= key == "grad_norm" || key == "next_window";
    event.is_validation |= key == "val_loss_nats";
  }
  return event;
}

bool is_of_an_earlier_part(std::string_view line) {
  return line.starts_with("{\"event\":\"start\",") ||
         line.starts_with("{\"event\":\"note\",\"text\":\"resume:");
}

// The N of "step:N/..."; 0: another line.
int64_t read_log_step(std::string_view line) {
  constexpr std::string_view kStep = "step:";
  int64_t step = 0;
  if (line.starts_with(kStep)) {
    std::from_chars(line.data() + kStep.size(), line.data() + line.size(), step);
  }
  return step;
}

std::string read_text_if_there(const std::filesystem::path& file) {
  std::error_code ignored;
  return std::filesystem::exists(file, ignored) ? read_text_file(file) : "";
}

void replace_text(const std::filesystem::path& file, const std::string& before,
                  const std::string& after) {
  if (after != before) write_file_atomic(file, after);
}

}  // namespace

RewoundLog rewind_events(std::string_view text, int64_t steps) {
  RewoundLog log;
  std::string tail;  // after the last line that stays
  for (const std::string_view line : split_lines(text)) {
    const Event event = read_event(line);
    if (!event.is_valid) continue;
    const bool is_told = event.is_step && event.step <= log.last_step;
    if ((event.is_step || event.is_validation) && event.step <= steps && !is_told) {
      log.text += tail.append(line);
      tail.clear();
      log.last_step = event.step;
      log.log_bytes = event.log_bytes;
    } else if (!event.is_step && !event.is_validation) {
      tail += line;
    }
  }
  for (const std::string_view line : split_lines(tail)) {
    if (is_of_an_earlier_part(line)) log.text += line;
  }
  return log;
}

RewoundTape rewind_tape(std::string_view text, int64_t steps) {
  RewoundTape tape;
  TapeChain chain;
  size_t read_bytes = 0, kept_bytes = 0;
  for (const std::string_view line : split_lines(text)) {
    const Event event = read_event(line);
    if (!event.is_valid || !chain.follow(line.substr(0, line.size() - 1))) break;
    read_bytes += line.size();
    if (!event.is_step) continue;
    if (event.step > steps) break;
    kept_bytes = read_bytes;
    tape.last_step = event.step;
    tape.chain = chain;
  }
  tape.text = text.substr(0, kept_bytes);
  return tape;
}

std::string rewind_log(std::string_view text, int64_t steps, int64_t log_bytes) {
  const std::vector<std::string_view> lines = split_lines(text);
  std::string kept;
  size_t next = 0;
  for (; next < lines.size(); ++next) {
    const bool is_later = log_bytes >= 0
                              ? kept.size() + lines[next].size() > static_cast<size_t>(log_bytes)
                              : read_log_step(lines[next]) > steps;
    if (is_later) break;
    kept += lines[next];
  }
  for (; next < lines.size(); ++next) {
    if (lines[next].starts_with("resume:")) kept += lines[next];
  }
  return kept;
}

std::vector<std::string> rewind_logs(const RunFolder& folder) {
  const int64_t steps = folder.resumed_steps;
  std::vector<std::string> gaps;
  const auto note_gap = [&](const std::filesystem::path& file, const std::string& what) {
    gaps.push_back(
        fmt::format("\"{}\" {}, the checkpoint is of step {}: the training goes on, the "
                    "record has a gap",
                    file.string(), what, steps));
  };
  const auto rewind = [&](const std::filesystem::path& file, const auto& rewind_text) {
    const std::string text = read_text_if_there(file);
    const auto rewound = rewind_text(text, steps);
    replace_text(file, text, rewound.text);
    if (rewound.last_step < steps)
      note_gap(file, fmt::format("ends at step {}", rewound.last_step));
    return rewound;
  };
  rewind(folder.tape(), rewind_tape);
  const RewoundLog events = rewind(folder.events(), rewind_events);
  const std::string log = read_text_if_there(folder.log());
  replace_text(folder.log(), log, rewind_log(log, steps, events.log_bytes));
  const bool is_short = static_cast<int64_t>(log.size()) < events.log_bytes;
  if (log.empty() || is_short) note_gap(folder.log(), "has lost its end");
  return gaps;
}

std::vector<std::string> cut_torn_ends(const RunFolder& folder) {
  std::vector<std::string> cut;
  for (const auto& file : {folder.log(), folder.events(), folder.tape()}) {
    const std::string text = read_text_if_there(file);
    if (text.empty() || text.ends_with('\n')) continue;
    folder.write(file, std::string_view(text).substr(0, text.rfind('\n') + 1));
    cut.push_back(file.filename().string());
  }
  return cut;
}

}  // namespace pg
