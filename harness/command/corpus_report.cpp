#include "harness/command/corpus_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/base/clock.h"
#include "src/text/text_escape.h"
#include "src/text/text_format.h"

namespace pg {

CorpusProgressFn show_corpus_progress(ProgressLine& progress) {
  return [&progress, start_s = SteadyClock().now_s()](const CorpusProgress& done) {
    const double passed_s = SteadyClock().now_s() - start_s;
    const double mb = static_cast<double>(done.text_bytes) / 1e6;
    const double left_s = passed_s * (1 / std::max(done.share, 1e-6) - 1);
    progress.show(
        fmt::format("{} documents  {:.1f} MB  {:.1f} MB/s  {:.0f}%  {:.0f} s left",
                    format_thousands(done.documents), mb, mb / passed_s, done.share * 100, left_s),
        false);
  };
}

void print_split(const SplitSummary& s) {
  if (s.split.empty() || s.documents == 0) return;
  fmt::print("{:<8}{:>12} documents  {:>15} bytes  {:>14} tokens  {:.4f} bytes/token\n", s.split,
             format_thousands(s.documents), format_thousands(s.target_bytes),
             format_thousands(s.tokens), s.bytes_per_token());
  if (s.normalised_documents > 0) {
    const double change =
        s.text_bytes > 0
            ? static_cast<double>(s.target_bytes) / static_cast<double>(s.text_bytes) - 1
            : 0;
    fmt::print(
        "{:<8}{:>12} documents changed by the tokenizer's normalisation: {} bytes before it, "
        "{:+.4f}%\n",
        "", format_thousands(s.normalised_documents), format_thousands(s.text_bytes), change * 100);
  }
}

void warn_of_mismatch(const SplitSummary& s, ProgressLine& progress) {
  if (s.byte_mismatch_documents == 0) return;
  progress.warn(
      fmt::format("bytes a token are not exact: {} of {} documents of {} have other bytes than "
                  "their tokens are "
                  "charged with; no run scores these shards",
                  format_thousands(s.byte_mismatch_documents), format_thousands(s.documents),
                  escape_terminal(s.split)));
}

}  // namespace pg
