#include "harness/bench/reference_coders.h"

#include <brotli/decode.h>
#include <brotli/encode.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <functional>

#include "harness/bench/child_program.h"
#include "harness/bench/scratch_folder.h"
#include "quant/format/packed/packed_weights.h"
#include "quant/method/packed_encoder.h"
#include "src/base/check.h"
#include "src/base/error.h"
#include "src/files/write_file.h"

namespace pg {
namespace {

double seconds_of(const std::function<void()>& work) {
  const double begin_s = computed_s();
  work();
  return computed_s() - begin_s;
}

using Coder = std::function<Bytes(std::span<const uint8_t>)>;

ReferenceResult measure(const std::string& name, std::span<const uint8_t> raw, const Coder& encode,
                        const Coder& decode) {
  ReferenceResult result;
  result.name = name;
  Bytes packed, unpacked;
  result.encode_s = seconds_of([&] { packed = encode(raw); });
  result.decode_s = seconds_of([&] { unpacked = decode(packed); });
  if (!std::ranges::equal(unpacked, raw))
    throw Error(name + " does not give back what it was given");
  result.bytes = static_cast<int64_t>(packed.size());
  return result;
}

Bytes encode_brotli(std::span<const uint8_t> raw) {
  size_t size = BrotliEncoderMaxCompressedSize(raw.size());
  Bytes out(std::max<size_t>(size, 64));
  size = out.size();
  if (!BrotliEncoderCompress(BROTLI_MAX_QUALITY, BROTLI_MAX_WINDOW_BITS, BROTLI_MODE_GENERIC,
                             raw.size(), raw.data(), &size, out.data())) {
    throw Error("brotli failed");
  }
  out.resize(size);
  return out;
}

// Its chatter is dropped. False when the program is not installed.
bool run_program(const std::vector<std::string>& arguments) {
  const std::optional<int> code = run_child(arguments, ChildOutput::kDropped);
  if (code.value_or(0) != 0) throw Error("\"" + arguments[0] + "\" failed");
  return code.has_value();
}

ReferenceResult measure_lrzip(std::span<const uint8_t> raw) {
  const ScratchFolder folder;
  const std::string in = folder.file("raw"), packed = folder.file("packed"),
                    out = folder.file("out");
  bool installed = true;
  const Coder encode = [&](std::span<const uint8_t> bytes) {
    write_file_atomic(in, bytes);
    installed = run_program({"lrzip", "-q", "-f", "-z", "-L9", "-p", "1", "-o", packed, in});
    return installed ? read_file(packed) : Bytes();
  };
  const Coder decode = [&](std::span<const uint8_t> /*packed*/) {
    if (!installed) return Bytes(raw.begin(), raw.end());
    run_program({"lrzip", "-q", "-f", "-d", "-p", "1", "-o", out, packed});
    return read_file(out);
  };
  ReferenceResult result = measure("lrzip -z -L9", raw, encode, decode);
  if (!installed) result.bytes.reset();
  return result;
}

}  // namespace

double computed_s() {
  timespec own = {};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &own);
  rusage children = {};
  ::getrusage(RUSAGE_CHILDREN, &children);
  const auto microseconds = children.ru_utime.tv_usec + children.ru_stime.tv_usec;
  return static_cast<double>(own.tv_sec + children.ru_utime.tv_sec + children.ru_stime.tv_sec) +
         1e-9 * static_cast<double>(own.tv_nsec) + 1e-6 * static_cast<double>(microseconds);
}

std::vector<ReferenceResult> run_reference_coders(std::span<const uint8_t> raw, bool with_lrzip) {
  const auto with = [&](bool (*unpack)(std::span<const uint8_t>, std::span<uint8_t>)) {
    return [size = raw.size(), unpack](std::span<const uint8_t> packed) {
      Bytes out(size);
      return unpack(packed, out) ? out : Bytes();
    };
  };
  const auto encode_zstd = [](std::span<const uint8_t> bytes) {
    return pack_zstd(bytes, std::array{bytes.size()})[0];
  };
  const auto decode_brotli = [&](std::span<const uint8_t> packed) {
    Bytes out(raw.size());
    size_t size = out.size();
    BrotliDecoderDecompress(packed.size(), packed.data(), &size, out.data());
    return out;
  };
  std::vector<ReferenceResult> results;
  results.push_back(measure("zstd -22", raw, encode_zstd, with(unpack_zstd)));
  results.push_back(measure("lzma -9e", raw, pack_lzma, with(unpack_lzma)));
  results.push_back(measure("brotli -11", raw, encode_brotli, decode_brotli));
  if (with_lrzip) results.push_back(measure_lrzip(raw));
  return results;
}

Bytes pack_trits(std::span<const int8_t> codes) {
  Bytes packed((codes.size() + 4) / 5);
  for (size_t i = codes.size(); i-- > 0;) {
    PG_CHECK(codes[i] >= -1 && codes[i] <= 1, "not a trit");
    packed[i / 5] = static_cast<uint8_t>(packed[i / 5] * 3 + codes[i] + 1);
  }
  return packed;
}

void unpack_trits(std::span<const uint8_t> packed, std::span<int8_t> codes) {
  PG_CHECK(packed.size() == (codes.size() + 4) / 5, "trits: sizes differ");
  for (size_t i = 0; i < codes.size(); ++i) {
    static constexpr int kPowers[] = {1, 3, 9, 27, 81};
    codes[i] = static_cast<int8_t>(packed[i / 5] / kPowers[i % 5] % 3 - 1);
  }
}

}  // namespace pg
