// Writes a run's tape (tape.h) while it goes. The closing line is not written here: it binds files
// that come after the last step (tape_end.h).
#pragma once
#include <cstdint>

#include "harness/recipe/recipe.h"
#include "harness/record/append_file.h"
#include "harness/record/run_folder.h"
#include "harness/record/run_result.h"
#include "harness/record/tape_chain.h"
#include "src/text/json_object.h"
#include "src/train/trainer.h"

namespace pg {

// What a run's start line says but where it lies and goes on.
void describe_start(const Recipe& recipe, const RunFacts& facts, JsonObject& start);

class TapeLog {
 public:
  TapeLog() = default;  // drops everything
  // Of a resumed run the tape is taken up where it ends, rewound to the checkpoint (log_rewind.h).
  TapeLog(const RunFolder& folder, AppendFile::Report report);

  void write_start(const RunFolder& folder, const Recipe& recipe, const RunFacts& facts);
  void write_rehearsal(double choose_s, double calibrate_s);
  // `next_window`: the data cursor behind it.
  void write_step(const StepReport& report, int64_t next_window);
  void write_stop(const JsonObject& stop) { write(stop); }
  void write_average(const JsonObject& average) { write(average); }
  void check_kept() { file_.check_kept(); }
  void close() { file_.close(); }

 private:
  void write(const JsonObject& event) { file_.write_line(chain_.link(event.line())); }

  AppendFile file_;
  TapeChain chain_;
};

}  // namespace pg
