#include "harness/command/corpus_report.h"

#include <fmt/format.h>

#include "src/text/text_format.h"

namespace pg {

CorpusProgress show_corpus_progress(ProgressLine& progress) {
  return [&progress](int64_t documents, int64_t text_bytes) {
    progress.show(fmt::format("{} documents  {:.1f} MB", format_thousands(documents),
                              static_cast<double>(text_bytes) / 1e6),
                  false);
  };
}

void print_split(const SplitSummary& s) {
  if (s.split.empty() || s.documents == 0) return;
  fmt::print("{:<8}{:>12} documents  {:>15} bytes  {:>14} tokens  {:.4f} bytes/token\n", s.split,
             format_thousands(s.documents), format_thousands(s.target_bytes),
             format_thousands(s.tokens), s.bytes_per_token());
  if (s.normalised_documents > 0) {
    fmt::print("{:<8}{:>12} documents changed by the tokenizer's normalisation\n", "",
               format_thousands(s.normalised_documents));
  }
}

}  // namespace pg
