// What a log tells, whatever public trainer wrote it; filled line by line by LogParser
// (log_dialects.h). Of endless logs no more lines of a kind are kept than kMostLines.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "src/base/hash.h"

namespace pg {

inline constexpr size_t kMostLines = 4000;

// Adds to a list of lines while it is not full.
template <class T>
void keep_line(std::vector<T>& list, T item) {
  if (list.size() < kMostLines) list.push_back(std::move(item));
}

enum class ScoreKind {
  kStep,        // validation while training
  kProgress,    // the running value inside an evaluation
  kPrequant,    // of the weights before they were packed
  kEvaluation,  // an evaluation's result
};

// One value in bits per byte, as a line states it.
struct LogScore {
  int64_t line = 0;
  ScoreKind kind = ScoreKind::kEvaluation;
  std::string label;  // what stands before the value, numbers as '#': "final_int#_roundtrip_exact"
  double bits_per_byte = 0;
  int decimals = 0;
  std::optional<double> loss_nats;  // of the same line
  int loss_decimals = 0;
  std::string text;  // the line, shortened
};

struct NumberLine {
  int64_t line = 0;
  double value = 0;
};

struct SizeLine {
  int64_t line = 0;
  int64_t bytes = 0;
  std::string label;  // "int6+lzma"; empty where the line names none
};

struct TextLine {
  int64_t line = 0;
  std::string text;  // shortened
};

// What a line says about how it is scored.
struct MethodLine {
  std::string code;  // of the vocabulary: "byte_mix"
  TextLine at;
};

struct LogFacts {
  std::string path;
  int64_t bytes = 0, lines = 0;
  bool is_blank = true, is_cut = false;  // cut: longer than what was read
  Sha256 sha256 = {};

  bool has_byte_order_mark = false, is_utf16 = false;
  int64_t bare_returns = 0, escapes = 0, home_paths = 0;

  std::vector<NumberLine> seeds, world_sizes, val_tokens;
  std::vector<LogScore> scores;
  std::vector<SizeLine> totals;         // of code and model
  std::vector<SizeLine> packed_models;  // "Serialized model int6+lzma: N bytes"
  std::vector<int64_t> raw_models;      // of weights that are not packed
  std::vector<int64_t> code_sizes;
  std::vector<NumberLine> stops_ms;         // train_time where training stopped
  std::optional<NumberLine> last_train_ms;  // of the last step's line that has one
  std::vector<NumberLine> evaluations_s;    // how long evaluations took
  std::vector<TextLine> evaluation_texts;   // of the same lines
  std::vector<NumberLine> mixed_bytes;      // bytes that a mixture was scored on
  std::vector<TextLine> crashes,
      not_numbers;                     // the second: a loss or score that is NaN or infinite
  std::vector<TextLine> not_original;  // the log says that it is no run's own
  std::vector<TextLine> padded_exact;  // an "exact" line whose digits are those of a rounded one
  std::vector<MethodLine> methods;
  bool is_score_first = false;  // adapts chunk by chunk, each scored before

  int64_t step_lines = 0, last_step = 0;  // lines of training steps, and the highest step told of
  int64_t header_lines = 0;               // of a program's own start: world_size, val_loader, ...
  std::optional<double> first_loss_nats;  // of step 0 or 1: that of a model that knows nothing
  std::vector<double> late_losses_nats;   // of the last steps
  uint64_t training_fingerprint = 0;      // of steps with their losses
};

}  // namespace pg
