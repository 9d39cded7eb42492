// A run's tape, read: tape.jsonl, which holds what went into the run, every decision that a clock
// made, and, in its closing line, the hashes of what came out. Format 2: the lines are chained
// (tape_chain.h).
//
//   {"event":"start",...}      who computes what on what; again at the head of each resumed part
//   {"event":"rehearsed",...}  calibration, and choosing an average, as timed before the first step, which
//                              the stop is reckoned by
//   {"step":1,...}             one a step: the clock's times and what was decided by them
//   {"event":"stop",...}       why and where training ended
//   {"event":"average",...}    which one was chosen, where several were kept
//   {"event":"end",...}        the closing line (tape_end.h)
//
// The steps of a part that was killed end where its checkpoint lies; what came after is done again and
// told again, and the start of a part that left nothing stands in run.jsonl alone.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/record/tape_chain.h"
#include "src/base/result.h"

namespace pg {

inline constexpr int64_t kTapeFormat = 2;

struct TapePart {
  int64_t line = 0;
  // The members of the start line as text; those of a list with spaces between them.
  std::map<std::string, std::string> identity;
};

struct TapeStep {
  int64_t line = 0, step = 0;
  double train_s = 0, step_s = 0;
  double decided_s = 0, end_s = 0, lr_multiplier = 1;
  int64_t next_window = 0, swa_snapshots = 0;
  std::optional<double> loss_nats;  // tapes of earlier builds do not say it
};

struct TapeStop {
  int64_t line = 0, step = 0;
  std::string reason, averaging;
};

struct TapeEnd {
  int64_t line = 0, steps = 0;
  std::string artifact;  // its file's name
  std::string val_bpb;   // the digits that were printed
  bool is_exact = false;
  int64_t coded_tokens = 0;                   // targets of the coded text
  int64_t text_bytes = 0, payload_bytes = 0;  // of it
  // Names of the folder's files and their SHA-256 in hex; the second, which a record may leave out.
  std::map<std::string, std::string> files, optional_files;
};

struct Tape {
  int64_t format = kTapeFormat;
  std::vector<TapePart> parts;
  std::vector<TapeStep> steps;
  std::optional<TapeStop> stop;
  std::optional<TapeEnd> end;
  int64_t lines = 0;
  // Steps that no line tells of: "steps 4 to 5 are missing before line 9"; of a run whose tape was lost
  // or found no room on the disk.
  std::vector<std::string> gaps;
  TapeChain chain;  // where it goes on
};

// The bytes are a stranger's. The error names the line and what to do. A tape of format 1 is read
// too; its lines are not chained.
Result<Tape> read_tape(std::string_view text);

}  // namespace pg
