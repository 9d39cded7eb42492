// Logs of a killed run, cut back to the checkpoint that its next part goes on from: what came after
// it is done again, and a line that the kill has cut is no line.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "harness/record/run_folder.h"
#include "harness/record/tape_chain.h"

namespace pg {

// What the run.jsonl of a run tells after being cut back.
struct RewoundLog {
  std::string text;
  int64_t last_step = 0;   // of the steps it still tells of
  int64_t log_bytes = -1;  // where train_seed<seed>.log stood then; -1: not said
};

// Of run.jsonl: whole lines up to the last that tells of step `steps` or one before.
// Of those after it only the heads and resumptions of earlier parts stay.
RewoundLog rewind_events(std::string_view text, int64_t steps);
// Of tape.jsonl: its lines up to the last that tells of step `steps` or one before, as far as their
// chain holds, and where the chain goes on. What an earlier part said behind that goes as well: a
// line kept without those before it would break the chain.
struct RewoundTape {
  std::string text;
  int64_t last_step = 0;
  TapeChain chain;
};
RewoundTape rewind_tape(std::string_view text, int64_t steps);
// Of the community's log, by the place that run.jsonl names; without one, up to the first line of a
// later step.
std::string rewind_log(std::string_view text, int64_t steps, int64_t log_bytes);

// All three of a resumed folder. Gives a sentence for each that ends before the checkpoint, so that
// the record will have a gap. Throws Error.
std::vector<std::string> rewind_logs(const RunFolder& folder);

// Of a finished run whose logs were cut when the machine went down: takes off the part of a line at
// the end of each. Gives the names of those that had one. Throws Error.
std::vector<std::string> cut_torn_ends(const RunFolder& folder);

}  // namespace pg
