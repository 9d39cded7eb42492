#include "eval/code/encode/text_correction.h"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <bit>
#include <memory>

#include "src/base/check.h"
#include "src/base/error.h"
#include "src/base/hash.h"

namespace pg {
namespace {

// The slow level pays where it looks far enough for every repetition; a network pass a token takes
// longer either way.
constexpr int kLevel = 19, kLevelOfLongTexts = 9;
constexpr size_t kLongText = 1 << 20;
// Bounds what a stranger's correction may make a decoder allocate: a text many times as long as
// all that describes it.
constexpr uint64_t kMostGrowth = 64, kAlwaysAllowed = 1 << 20;

uint64_t most_text_bytes(size_t correction_bytes, size_t back_bytes) {
  return kAlwaysAllowed + kMostGrowth * (correction_bytes + back_bytes);
}

// The smallest window that reaches over the text back to the start of its prefix.
int window_log(uint64_t bytes) {
  const int most = sizeof(size_t) == 4 ? 30 : 31;  // ZSTD_WINDOWLOG_MAX
  return std::clamp(static_cast<int>(std::bit_width(bytes)), 10, most);
}

size_t check(size_t code) {
  PG_CHECK(!ZSTD_isError(code), "the compressor refuses its own settings");
  return code;
}

Failure damaged(const char* how) {
  return {fmt::format("coded text is damaged: its correction {}; encode the text again", how)};
}

}  // namespace

Bytes make_correction(std::string_view text, std::string_view back) {
  const std::unique_ptr<ZSTD_CCtx, size_t (*)(ZSTD_CCtx*)> context(ZSTD_createCCtx(),
                                                                   ZSTD_freeCCtx);
  if (!context) throw std::bad_alloc();
  const int window = window_log(text.size() + back.size());
  check(ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel,
                               text.size() > kLongText ? kLevelOfLongTexts : kLevel));
  check(ZSTD_CCtx_setParameter(context.get(), ZSTD_c_windowLog, window));
  check(ZSTD_CCtx_setParameter(context.get(), ZSTD_c_enableLongDistanceMatching,
                               window > 23 ? 1 : 0));
  check(ZSTD_CCtx_setParameter(context.get(), ZSTD_c_contentSizeFlag, 0));
  check(ZSTD_CCtx_refPrefix(context.get(), back.data(), back.size()));
  Bytes frame(ZSTD_compressBound(text.size()));
  const size_t size =
      ZSTD_compress2(context.get(), frame.data(), frame.size(), text.data(), text.size());
  if (ZSTD_isError(size)) {
    throw Error(
        fmt::format("the text's correction cannot be compressed: {}; encode with "
                    "--normalised, which does without it",
                    ZSTD_getErrorName(size)));
  }
  ByteWriter writer;
  writer.u64(text.size());
  writer.bytes(sha256(as_bytes(text)));
  writer.bytes(std::span(frame).first(size));
  Bytes correction = writer.take();
  if (text.size() > most_text_bytes(correction.size(), back.size())) {
    throw Error(
        fmt::format("the tokenizer gives {} bytes of {} back, too few to correct; encode "
                    "with --normalised, which keeps those alone",
                    back.size(), text.size()));
  }
  return correction;
}

Result<std::string> apply_correction(std::span<const uint8_t> correction, std::string_view back) {
  ByteReader reader(correction);
  const uint64_t text_bytes = reader.u64();
  const std::span<const uint8_t> hash = reader.bytes(Sha256{}.size());
  if (!reader.ok()) return damaged("is cut short");
  if (text_bytes > most_text_bytes(correction.size(), back.size())) {
    return damaged("promises more text than it can hold");
  }
  const std::span<const uint8_t> frame = reader.bytes(reader.remaining());
  const std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(),
                                                                   ZSTD_freeDCtx);
  if (!context) throw std::bad_alloc();
  check(ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax,
                               window_log(text_bytes + back.size())));
  check(ZSTD_DCtx_refPrefix(context.get(), back.data(), back.size()));
  std::string text(text_bytes, '\0');
  const size_t size =
      ZSTD_decompressDCtx(context.get(), text.data(), text.size(), frame.data(), frame.size());
  if (ZSTD_isError(size) || size != text.size()) return damaged("does not fit its text");
  const Sha256 have = sha256(as_bytes(text));
  if (!std::equal(have.begin(), have.end(), hash.begin())) return damaged("gives another text");
  return text;
}

}  // namespace pg
