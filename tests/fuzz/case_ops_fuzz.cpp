// The case transform on any bytes: every text comes back from what is written of it, whole or in
// parts, and what is undone strictly is written so again. An input is also read as a sketch, in which
// digits stand for operators: of bytes alone few inputs would hold one.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "src/data/corpus/case_ops.h"
#include "src/data/tokenizer.h"

namespace {

std::string sketch_text(std::string_view input) {
  std::string text;
  for (const char c : input) {
    if (c >= '1' && c <= '4') {
      text += pg::kCaseOperators[static_cast<size_t>(c - '1')];
    } else {
      text += c;
    }
  }
  return text;
}

void try_text(std::string_view text) {
  const std::string coded = pg::apply_case_ops(text);
  const pg::Result<std::string> back = pg::undo_case_ops(coded);
  if (!back.ok() || back.value() != text) std::abort();
  pg::CaseRestorer restorer;
  std::string parts;
  const size_t cut = coded.size() / 3;
  restorer.add(std::string_view(coded).substr(0, cut), parts);
  restorer.add(std::string_view(coded).substr(cut), parts);
  restorer.finish(parts);
  if (parts != text) std::abort();
}

void try_coded(std::string_view coded) {
  if (pg::restore_case(coded).size() > coded.size()) std::abort();
  const pg::Result<std::string> text = pg::undo_case_ops(coded);
  if (text.ok() && pg::apply_case_ops(text.value()) != coded) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  for (const std::string& text : {std::string(input), sketch_text(input)}) {
    try_text(text);
    try_coded(text);
  }
  return 0;
}
