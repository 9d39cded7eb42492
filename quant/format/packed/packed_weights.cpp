#include "quant/format/packed/packed_weights.h"

#include <algorithm>
#include <cstdlib>

#include "src/base/bytes.h"

namespace pg {
namespace {

// Counts the numbers of a tensor, whose form alone is known, by kind.
struct Counts {
  size_t code_count = 0, small_count = 0, half_count = 0;

  void halves(const std::vector<uint16_t>&, size_t count, HalfKind) { half_count += count; }
  void half(uint16_t) { ++half_count; }
  void real(float) { half_count += 2; }
  void small_codes(const std::vector<int8_t>&, size_t count, int) { small_count += count; }
  void codes(const CodeShape& shape, const std::vector<int8_t>&) {
    code_count += static_cast<size_t>(shape.rows * shape.cols);
  }
  size_t bytes() const { return code_count + small_count + 2 * half_count; }
};

// The sections hold as many numbers as the forms, so that calls for those end where they do.
class PackedWeights final : public WeightSource {
 public:
  PackedWeights(Bytes raw, const Counts& counts, bool ok)
      : raw_(std::move(raw)),
        codes_(raw_.data()),
        small_codes_(codes_ + counts.code_count),
        upper_(small_codes_ + counts.small_count),
        lower_(upper_ + counts.half_count),
        ok_(ok) {}

  bool codes(const CodeShape& shape, std::span<int8_t> out, int) override {
    return take(codes_, shape.max_code, out);
  }
  bool small_codes(std::span<int8_t> out, int max_code, int) override {
    return take(small_codes_, max_code, out);
  }
  bool halves(std::span<uint16_t> out, HalfKind, int) override {
    for (uint16_t& half : out) half = static_cast<uint16_t>(*upper_++ << 8 | *lower_++);
    return ok_;
  }
  bool finish() override { return ok_; }
  bool failed() const override { return !ok_; }

 private:
  bool take(const uint8_t*& from, int max_code, std::span<int8_t> out) {
    for (int8_t& code : out) {
      code = static_cast<int8_t>(*from++);
      ok_ = ok_ && std::abs(code) <= max_code;
    }
    return ok_;
  }

  Bytes raw_;
  const uint8_t *codes_, *small_codes_, *upper_, *lower_;
  bool ok_;
};

}  // namespace

std::unique_ptr<WeightSource> open_packed(bool (*unpack)(std::span<const uint8_t>,
                                                         std::span<uint8_t>),
                                          const std::vector<QuantTensor>& forms,
                                          std::span<const uint8_t> stream) {
  Counts counts;
  for (const QuantTensor& tensor : forms) visit_streams(tensor, counts);
  Bytes raw(counts.bytes());
  const bool ok = unpack(stream, raw);
  return std::make_unique<PackedWeights>(std::move(raw), counts, ok);
}

}  // namespace pg
