// Quantised model to file bytes: the writing half of artifact_format.h. The reading half is
// unpack.cpp.
#include <limits>
#include <type_traits>

#include "quant/artifact_format.h"
#include "quant/storage_bits.h"
#include "src/base/check.h"

namespace pg {
namespace {

void write_fields(const ModelConfig& config, ByteWriter& out) {
  visit_model_fields(config, [&](const FieldInfo&, const auto& value) {
    using Value = std::decay_t<decltype(value)>;
    if constexpr (std::is_same_v<Value, bool>) {
      out.u8(value ? 1 : 0);
    } else if constexpr (std::is_same_v<Value, double>) {
      out.f64(value);
    } else {
      static_assert(std::is_same_v<Value, int64_t>, "a new field type needs an encoding");
      PG_CHECK(value >= 0 && value <= std::numeric_limits<uint32_t>::max(), "field out of range");
      out.u32(static_cast<uint32_t>(value));
    }
  });
}

// Exponents lie in the high bytes and are alike; mantissas in the low bytes are noise.
void append_shuffled(std::span<const uint16_t> halves, Bytes& out) {
  for (const uint16_t half : halves) out.push_back(static_cast<uint8_t>(half & 0xff));
  for (const uint16_t half : halves) out.push_back(static_cast<uint8_t>(half >> 8));
}

}  // namespace

std::vector<uint8_t> tensor_bits(const QuantModel& model) {
  std::vector<uint8_t> bits;
  for (const QuantTensor& tensor : model.tensors) bits.push_back(static_cast<uint8_t>(tensor.bits));
  return bits;
}

Bytes encode_payload(const QuantModel& model) {
  const PayloadLayout layout = plan_payload(model.config, tensor_bits(model));
  Bytes out(static_cast<size_t>(layout.codes));
  out.reserve(layout.raw_bytes());
  std::vector<uint16_t> scales, values;
  int64_t position = 0;
  for (const size_t i : layout.order) {
    const QuantTensor& tensor = model.tensors[i];
    const ParamSpec& spec = layout.specs[i];
    PG_CHECK(tensor.name == spec.name && tensor.rows == spec.rows && tensor.cols == spec.cols,
             "tensors must be those of list_params");
    std::vector<uint16_t>& halves = tensor.bits == kHalfBits ? values : scales;
    halves.insert(halves.end(), tensor.halves.begin(), tensor.halves.end());
    if (tensor.bits == kHalfBits) continue;
    PG_CHECK(static_cast<int64_t>(tensor.codes.size()) == spec.elements(), "codes are missing");
    transpose_codes(tensor.codes.data(), tensor.rows, tensor.cols,
                    reinterpret_cast<int8_t*>(out.data()) + position);
    position += spec.elements();
  }
  append_shuffled(scales, out);
  append_shuffled(values, out);
  PG_CHECK(out.size() == layout.raw_bytes(), "payload size differs from its layout");
  return out;
}

Bytes encode_artifact(ArtifactHeader header, std::span<const uint8_t> payload) {
  PG_CHECK(payload.size() <= std::numeric_limits<uint32_t>::max(), "payload size needs 32 bits");
  PG_CHECK(header.bits.size() <= std::numeric_limits<uint16_t>::max(),
           "tensor count needs 16 bits");
  ByteWriter out;
  out.u32(kArtifactMagic);
  out.u16(kArtifactVersion);
  out.u8(static_cast<uint8_t>(header.compressor));
  out.u8(static_cast<uint8_t>(model_field_count()));
  out.u32(model_field_fingerprint());
  out.bytes(header.tokenizer_sha256);
  write_fields(header.config, out);
  out.u16(static_cast<uint16_t>(header.bits.size()));
  out.bytes(header.bits);
  out.u32(static_cast<uint32_t>(payload.size()));
  out.bytes(payload);
  const Sha256 digest = sha256(out.buffer());
  out.bytes(digest);
  return out.take();
}

}  // namespace pg
