#include "quant/method/packed_encoder.h"

#include <lzma.h>
#include <zstd.h>

#include <algorithm>

#include "src/base/check.h"
#include "src/base/error.h"
#include "src/base/threads.h"

namespace pg {
namespace {

constexpr int kZstdLevel = 22;  // --ultra: its window holds any model under the cap

Bytes pack_frame(std::span<const uint8_t> raw) {
  Bytes out(ZSTD_compressBound(raw.size()));
  const size_t size = ZSTD_compress(out.data(), out.size(), raw.data(), raw.size(), kZstdLevel);
  if (ZSTD_isError(size)) throw Error("zstd failed: " + std::string(ZSTD_getErrorName(size)));
  out.resize(size);
  return out;
}

double share(size_t packed, size_t raw) {
  return static_cast<double>(packed) / static_cast<double>(std::max<size_t>(raw, 1));
}

}  // namespace

// The frames are independent, and each is one thread's.
std::vector<Bytes> pack_zstd(std::span<const uint8_t> raw, std::span<const size_t> ends) {
  PG_CHECK(!ends.empty() && ends.back() == raw.size(), "zstd: frames do not hold all bytes");
  std::vector<Bytes> frames(ends.size());
  parallel_chunks(std::ssize(ends), [&](int64_t i) {
    const auto frame = static_cast<size_t>(i);
    const size_t begin = frame == 0 ? 0 : ends[frame - 1];
    frames[frame] = pack_frame(raw.subspan(begin, ends[frame] - begin));
  });
  return frames;
}

Bytes pack_lzma(std::span<const uint8_t> raw) {
  lzma_options_lzma options = {};
  if (lzma_lzma_preset(&options, 9 | LZMA_PRESET_EXTREME)) throw Error("lzma failed");
  // The preset's dictionary of 64 MiB, but no larger than the data: the same stream, less memory.
  options.dict_size =
      static_cast<uint32_t>(std::clamp<size_t>(raw.size(), LZMA_DICT_SIZE_MIN, options.dict_size));
  const lzma_filter filters[] = {{LZMA_FILTER_LZMA1, &options}, {LZMA_VLI_UNKNOWN, nullptr}};
  Bytes out(lzma_stream_buffer_bound(raw.size()));
  size_t size = 0;
  if (lzma_raw_buffer_encode(filters, nullptr, raw.data(), raw.size(), out.data(), &size,
                             out.size()) != LZMA_OK) {
    throw Error("lzma failed");
  }
  out.resize(size);
  return out;
}

void PackedEncoder::codes(const CodeShape& shape, std::span<const int8_t> codes, int /*role*/) {
  PG_CHECK(std::ssize(codes) == shape.rows * shape.cols, "packed codes: shape and codes differ");
  codes_.insert(codes_.end(), codes.begin(), codes.end());
  ends_.push_back(codes_.size());
}

void PackedEncoder::halves(std::span<const uint16_t> halves, HalfKind /*kind*/, int /*role*/) {
  for (const uint16_t half : halves) {
    upper_.push_back(static_cast<uint8_t>(half >> 8));
    lower_.push_back(static_cast<uint8_t>(half));
  }
}

void PackedEncoder::small_codes(std::span<const int8_t> codes, int /*max_code*/, int /*role*/) {
  small_codes_.insert(small_codes_.end(), codes.begin(), codes.end());
}

double PackedEncoder::ideal_bytes() const {
  return static_cast<double>(codes_.size() + small_codes_.size() + upper_.size() + lower_.size());
}

Bytes PackedEncoder::finish(Coder coder, std::vector<double>* shares) const {
  Bytes raw;
  for (const Bytes* section : {&codes_, &small_codes_, &upper_, &lower_}) {
    raw.insert(raw.end(), section->begin(), section->end());
  }
  return coder == Coder::kZstd ? finish_zstd(raw, shares) : finish_lzma(raw, shares);
}

Bytes PackedEncoder::finish_zstd(const Bytes& raw, std::vector<double>* shares) const {
  std::vector<size_t> ends = ends_;
  ends.push_back(raw.size());
  const std::vector<Bytes> frames = pack_zstd(raw, ends);
  Bytes out;
  size_t begin = 0;
  for (size_t i = 0; i < frames.size(); ++i) {
    out.insert(out.end(), frames[i].begin(), frames[i].end());
    if (shares != nullptr) shares->push_back(share(frames[i].size(), ends[i] - begin));
    begin = ends[i];
  }
  return out;
}

Bytes PackedEncoder::finish_lzma(const Bytes& raw, std::vector<double>* shares) const {
  Bytes out = pack_lzma(raw);
  if (shares == nullptr) return out;
  const size_t alone = codes_.empty() ? 0 : pack_lzma(codes_).size();
  const size_t code_bytes = std::min(alone, out.size());
  shares->assign(ends_.size(), share(code_bytes, codes_.size()));
  shares->push_back(share(out.size() - code_bytes, raw.size() - codes_.size()));
  return out;
}

}  // namespace pg
