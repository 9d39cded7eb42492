#include "harness/command/coding_steps.h"

#include <fmt/format.h>

#include "src/text/text_format.h"

namespace pg {

CodingProgressFn show_coding_progress(ProgressLine& progress, const char* what) {
  return [&progress, what](int64_t done, int64_t total) {
    progress.show(fmt::format("{} {:.0f}%  {} of {} tokens", what,
                              100.0 * static_cast<double>(done) / static_cast<double>(total),
                              format_thousands(done), format_thousands(total)),
                  false);
  };
}

std::string decode_documents(const TextCodec& codec, std::span<const int32_t> tokens) {
  std::string text;
  for (size_t begin = 0; begin < tokens.size();) {
    size_t end = begin + 1;
    while (end < tokens.size() && tokens[end] != kBosId) ++end;
    if (begin > 0) text += '\n';
    const size_t first = tokens[begin] == kBosId ? begin + 1 : begin;
    text += codec.decode(tokens.subspan(first, end - first));
    begin = end;
  }
  return text;
}

}  // namespace pg
