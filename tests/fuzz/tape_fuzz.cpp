// Tapes of any bytes: an error text, or one whose lines are all counted. The input is read as it is,
// and again with each of its lines chained, which no mutation would hit by chance.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "harness/record/log_rewind.h"
#include "harness/record/tape.h"
#include "harness/record/tape_chain.h"

namespace {

std::string chain_lines(std::string_view text) {
  pg::TapeChain chain;
  std::string chained;
  for (size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
    if (end > 0) chained += chain.link(text.substr(0, end));
    chained += '\n';
    text.remove_prefix(end + 1);
  }
  return chained;
}

void check(std::string_view text) {
  const auto tape = pg::read_tape(text);
  if (tape.ok() && tape.value().lines != std::count(text.begin(), text.end(), '\n')) std::abort();
  const pg::RewoundTape rewound = pg::rewind_tape(text, 2);
  if (!text.starts_with(rewound.text) || rewound.last_step > 2) std::abort();
  if (tape.ok() && tape.value().format == pg::kTapeFormat && !rewound.text.empty() &&
      !pg::read_tape(rewound.text).ok()) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check(text);
  check(chain_lines(text));
  return 0;
}
