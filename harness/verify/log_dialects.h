// The lines that public trainers print: steps, validation, stop, sizes, evaluations, what was done to
// the weights meanwhile. The dialects differ in spelling more than in what they say, so that each kind
// of line is known by its words, in any order:
//
//   step:500/20000 train_loss:2.3992 train_time:41450ms step_avg:82.90ms      the first script's
//   500/20000 train_loss: 2.3992 train_time: 0.7m tok/s: 9434000              the late one's
//   s:500/20000 tl:2.3992 tt:41450ms sa:82.90ms                               shortened to save bytes
//   step   500/9999 | loss 2.3992 | lr_mul 1.0000 | 131s                      others'
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "harness/verify/log_facts.h"

namespace pg {

class LogParser {
 public:
  explicit LogParser(LogFacts& facts) : facts_(facts) {}
  // The next line, or a part of it that a bare carriage return ends.
  void parse(int64_t line, std::string_view text);

 private:
  void parse_step(std::string_view lower);
  void parse_scores(std::string_view lower);
  void parse_sizes(std::string_view lower);
  void parse_settings(std::string_view lower);
  void parse_times(std::string_view lower);
  void parse_methods(std::string_view lower);
  void parse_troubles(std::string_view lower);
  ScoreKind kind_of(std::string_view lower, std::string_view label) const;
  TextLine here() const;

  LogFacts& facts_;
  int64_t line_ = 0;
  std::string_view text_;
  bool is_step_ = false;  // the line is a training step's, or its validation's
};

}  // namespace pg
