// The parser of strangers' artifacts. Order of checks: hash, then header, then sizes, then memory.
// Every count is compared with a limit before anything of that size is allocated.
#include "quant/unpack.h"

#include <algorithm>
#include <exception>
#include <type_traits>

#include "quant/artifact_format.h"
#include "quant/half.h"
#include "quant/storage_bits.h"
#include "src/base/threads.h"
#include "src/model/model.h"

namespace pg {
namespace {

constexpr size_t kDigestBytes = sizeof(Sha256);

// Reads the model fields and checks each against the range its recipe key has. Empty when all is
// well.
std::string read_fields(ByteReader& reader, ModelConfig& config) {
  std::string error;
  visit_model_fields(config, [&](const FieldInfo& info, auto& value) {
    using Value = std::decay_t<decltype(value)>;
    double number;
    if constexpr (std::is_same_v<Value, bool>) {
      const uint8_t byte = reader.u8();
      value = byte != 0;
      if (byte > 1 && error.empty()) error = std::string(info.key) + " is neither 0 nor 1";
      return;
    } else if constexpr (std::is_same_v<Value, double>) {
      number = value = reader.f64();
    } else {
      value = reader.u32();
      number = static_cast<double>(value);
    }
    // Written so that a NaN fails.
    if (!(number >= info.min && number <= info.max) && error.empty()) {
      error = std::string(info.key) + " is out of range: \"" + std::to_string(number) + "\"";
    }
  });
  if (!reader.ok()) return "the header is cut short";
  return error.empty() ? check_model_config(config) : error;
}

bool is_known_width(uint8_t bits) { return (bits >= 2 && bits <= 8) || bits == kHalfBits; }

// Joins low and high bytes again and checks what fp16 fields promise; empty result on failure.
bool read_halves(std::span<const uint8_t> shuffled, bool allow_negative,
                 std::vector<uint16_t>& out) {
  const size_t count = shuffled.size() / 2;
  out.resize(count);
  for (size_t i = 0; i < count; ++i) {
    const auto half = static_cast<uint16_t>(shuffled[i] | (shuffled[count + i] << 8));
    if (!is_finite_half(half) || (!allow_negative && half >= 0x8000)) return false;
    out[i] = half;
  }
  return true;
}

// Codes within [-R, R], and zero where the row's scale is zero.
bool are_codes_canonical(const QuantTensor& tensor) {
  const int limit = max_code(tensor.bits);
  for (int64_t r = 0; r < tensor.rows; ++r) {
    const int row_limit = tensor.halves[static_cast<size_t>(r)] == 0 ? 0 : limit;
    const int8_t* row = tensor.codes.data() + r * tensor.cols;
    int largest = 0;
    for (int64_t c = 0; c < tensor.cols; ++c) largest = std::max<int>(largest, std::abs(row[c]));
    if (largest > row_limit) return false;
  }
  return true;
}

// The dimensions are checked; this bounds what they multiply to. Empty when the sizes are sane.
std::string check_sizes(const ArtifactHeader& header, const PayloadLayout& layout) {
  const int64_t elements = layout.codes + layout.values;
  if (elements > kMaxArtifactElements) {
    return "the model is too large: \"" + std::to_string(elements) +
           "\" parameters, the limit is " + std::to_string(kMaxArtifactElements);
  }
  if (layout.raw_bytes() > std::max(kFreeRawBytes, kMaxRawRatio * header.payload_bytes)) {
    return "the payload of \"" + std::to_string(header.payload_bytes) +
           "\" bytes is too small for the model it declares";
  }
  return "";
}

}  // namespace

Result<ArtifactHeader> parse_header(ByteReader& reader) {
  ArtifactHeader header;
  if (reader.u32() != kArtifactMagic) {
    return Failure{"not a model artifact: the first bytes are not \"PGAF\""};
  }
  const uint16_t version = reader.u16();
  const uint8_t compressor = reader.u8();
  const uint8_t fields = reader.u8();
  const uint32_t fingerprint = reader.u32();
  if (version != kArtifactVersion) {
    return Failure{"unknown artifact version: \"" + std::to_string(version) +
                   "\", this build reads " + std::to_string(kArtifactVersion)};
  }
  if (compressor != static_cast<uint8_t>(Compressor::kZstd) &&
      compressor != static_cast<uint8_t>(Compressor::kLzma)) {
    return Failure{"unknown compressor: \"" + std::to_string(compressor) + "\""};
  }
  header.compressor = static_cast<Compressor>(compressor);
  if (fields != model_field_count() || fingerprint != model_field_fingerprint()) {
    return Failure{"the artifact's model fields are not those of this build"};
  }
  const std::span<const uint8_t> tokenizer = reader.bytes(kDigestBytes);
  if (!reader.ok()) return Failure{"the header is cut short"};
  std::copy(tokenizer.begin(), tokenizer.end(), header.tokenizer_sha256.begin());
  if (std::string error = read_fields(reader, header.config); !error.empty()) {
    return Failure{std::move(error)};
  }
  const uint16_t tensors = reader.u16();
  const std::span<const uint8_t> bits = reader.bytes(tensors);
  header.bits.assign(bits.begin(), bits.end());
  header.payload_bytes = reader.u32();
  if (!reader.ok()) return Failure{"the header is cut short"};
  if (tensors != list_params(header.config).size()) {
    return Failure{"wrong number of tensors: \"" + std::to_string(tensors) + "\""};
  }
  if (!std::all_of(bits.begin(), bits.end(), is_known_width)) {
    return Failure{"a tensor has an unknown bit width"};
  }
  return header;
}

Result<QuantModel> parse_payload(const ArtifactHeader& header, const PayloadLayout& layout,
                                 std::span<const uint8_t> raw) {
  if (raw.size() != layout.raw_bytes()) return Failure{"the payload has the wrong size"};
  std::vector<uint16_t> scales, values;
  const auto codes_bytes = static_cast<size_t>(layout.codes);
  const auto scale_bytes = static_cast<size_t>(2 * layout.scales);
  if (!read_halves(raw.subspan(codes_bytes, scale_bytes), false, scales)) {
    return Failure{"a row scale is negative or not finite"};
  }
  if (!read_halves(raw.subspan(codes_bytes + scale_bytes), true, values)) {
    return Failure{"an fp16 value is not finite"};
  }

  QuantModel model{
      .config = header.config, .tokenizer_sha256 = header.tokenizer_sha256, .tensors = {}};
  model.tensors.resize(layout.specs.size());
  const auto* codes = reinterpret_cast<const int8_t*>(raw.data());
  auto scale = scales.begin(), value = values.begin();
  for (const size_t i : layout.order) {
    const ParamSpec& spec = layout.specs[i];
    QuantTensor& tensor = model.tensors[i];
    tensor = {.name = spec.name,
              .rows = spec.rows,
              .cols = spec.cols,
              .bits = header.bits[i],
              .codes = {},
              .halves = {}};
    if (tensor.bits == kHalfBits) {
      tensor.halves.assign(value, value + spec.elements());
      value += spec.elements();
      continue;
    }
    tensor.halves.assign(scale, scale + spec.rows);
    scale += spec.rows;
    tensor.codes.resize(static_cast<size_t>(spec.elements()));
    transpose_codes(codes, tensor.cols, tensor.rows, tensor.codes.data());
    codes += spec.elements();
    if (!are_codes_canonical(tensor)) {
      return Failure{"a code of \"" + spec.name + "\" is out of range"};
    }
  }
  return model;
}

Result<QuantModel> parse_artifact(std::span<const uint8_t> artifact) {
  if (artifact.size() < kDigestBytes) return Failure{"the artifact is cut short"};
  const auto body = artifact.first(artifact.size() - kDigestBytes);
  const Sha256 digest = sha256(body);
  if (!std::equal(digest.begin(), digest.end(), artifact.end() - kDigestBytes)) {
    return Failure{"the artifact is damaged: its SHA-256 does not match its contents"};
  }
  ByteReader reader(body);
  const Result<ArtifactHeader> header = parse_header(reader);
  if (!header) return Failure{header.error()};
  if (reader.remaining() != header.value().payload_bytes) {
    return Failure{"the payload size is wrong: \"" + std::to_string(header.value().payload_bytes) +
                   "\" declared, " + std::to_string(reader.remaining()) + " present"};
  }
  const PayloadLayout layout = plan_payload(header.value().config, header.value().bits);
  if (std::string error = check_sizes(header.value(), layout); !error.empty()) {
    return Failure{std::move(error)};
  }
  const Result<Bytes> raw =
      decompress(header.value().compressor, reader.bytes(reader.remaining()), layout.raw_bytes());
  if (!raw) return Failure{raw.error()};
  return parse_payload(header.value(), layout, raw.value());
}

Result<UnpackedModel> unpack(std::span<const uint8_t> artifact) {
  try {  // only an exhausted machine gets here: no input throws
    Result<QuantModel> parsed = parse_artifact(artifact);
    if (!parsed) return Failure{parsed.error()};
    QuantModel& quantised = parsed.value();
    const std::vector<ParamSpec> specs = list_params(quantised.config);
    UnpackedModel model;
    model.config_ = quantised.config;
    model.tokenizer_sha256_ = quantised.tokenizer_sha256;
    model.artifact_sha256_ = sha256(artifact);
    for (size_t i = 0; i < specs.size(); ++i) {
      model.tensors_.push_back(dequantize(quantised.tensors[i], specs[i]));
      quantised.tensors[i] =
          {};  // memory: codes and floats never stand side by side for the whole model
    }
    return model;
  } catch (const std::exception& e) {
    return Failure{std::string("cannot unpack the artifact: ") + e.what()};
  }
}

}  // namespace pg
