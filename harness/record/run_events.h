// A run's events, read line by line: run.jsonl of a finished run, of one that goes on, or of one that was cut off. Where
// there is none, the lines of a trainer's log.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/record/loss_curve.h"

namespace pg {

// What a step's line tells beside its loss; 0 where it does not.
struct StepEvent {
  int64_t step = 0;
  double train_s = 0, lr_multiplier = 0, tokens_per_s = 0;
  int64_t projected_bytes = 0;
};

struct StageScore {
  std::string stage;  // "pre_quant", "roundtrip", "final"
  double bits_per_byte = 0;
};

struct TensorSize {
  std::string tensor;
  int64_t bytes = 0, weights = 0;
};

enum class EventKind : uint8_t {
  kUnread,  // no line of ours: a kill may have cut it
  kOther,
  kStart,
  kStep,
  kValidation,
  kStop,
  kScore,
  kNote,
};

struct RunEvents {
  LossCurve curve;
  std::vector<StepEvent> steps;  // as curve.train
  std::vector<StageScore> stages;
  std::vector<TensorSize> tensors;
  std::string stop_reason;  // empty: it has not stopped
  std::string last_text;    // of the last note, a stranger's text
  int64_t tokens = 0;       // trained on, where it has stopped

  // A line of run.jsonl, without its end. Steps that are told again take the place of the earlier ones.
  EventKind add_event(std::string_view line);
  // A line of a public trainer's log: "step:500/20000 train_loss:2.3992 train_time:41450ms ...".
  EventKind add_log_line(std::string_view line);
};

// Of every line of `text`.
RunEvents read_run_events(std::string_view run_jsonl);
RunEvents read_log_events(std::string_view log);

}  // namespace pg
