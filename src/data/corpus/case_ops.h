// The lossless case transform of the challenge's CaseOps tokenizers (formulas.md 1.3): text without
// capitals in ASCII, and operators that say where they were. A vocabulary then needs one piece for
// "the", "The" and "THE". The texts are bytes: what is no ASCII letter and no operator stays as it is.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "src/base/result.h"

namespace pg {

// As the challenge's manifests and file names call it.
inline constexpr std::string_view kCaseOpsName = "lossless_caps_caseops_v1";

// Every maximal run of ASCII letters: as it is when all are small; else in small letters behind
// ALLCAPS when it has two or more and all are capitals, behind TITLE when the first alone is; else
// TITLE before a first capital and CAPNEXT before each later one. A literal operator stands behind
// ESC. No two texts give the same.
std::string apply_case_ops(std::string_view text);

// The inverse. Fails for what apply_case_ops does not write: operators that nothing follows or that
// stand where others belong, capitals, an escape before what needs none.
Result<std::string> undo_case_ops(std::string_view coded);

// The inverse of any text, such as a model's own: an operator with nothing to act on is dropped, and
// every byte is kept but those of operators that no escape makes text.
std::string restore_case(std::string_view coded);

// The same for a text that comes in parts, cut anywhere, also inside a character.
class CaseRestorer {
 public:
  // Appends what is certain to `out`.
  void add(std::string_view part, std::string& out);
  // At the end of the text: what may have been the beginning of an operator.
  void finish(std::string& out);

 private:
  enum class Mode : uint8_t { kSmall, kOneCapital, kCapitals };

  void add_byte(char byte, std::string& out);
  void add_operator(char last_byte, std::string& out);

  Mode mode_ = Mode::kSmall;  // of the letters that follow
  bool is_escaped_ = false;   // an operator that follows is text
  size_t held_ = 0;           // bytes of an operator's beginning
};

}  // namespace pg
