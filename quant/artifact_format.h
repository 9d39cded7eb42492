// The artifact file. Internal to quant: everyone else goes through seal() and unpack(). Little
// endian.
//
//   bytes  field
//   4      magic "PGAF"
//   2      version, 1
//   1      compressor: 1 zstd (one frame, no checksum, size declared), 2 raw LZMA2
//   1      number of model fields F
//   4      fingerprint of the field names and types: a build with other fields refuses the file
//   32     SHA-256 of the tokenizer's model file
//   ...    F fields in visit_model_fields order: integers u32, reals f64, switches u8 (0 or 1)
//   2      number of tensors N
//   N      bits of each tensor, in list_params order: 2 to 8 for codes, 16 for fp16
//   4      payload bytes P
//   P      compressed payload
//   32     SHA-256 of everything before
//
// The raw payload; tensors in payload order, that is grouped by role (the name without its layer
// number):
//   codes of every quantised tensor, int8, column-major: columns share a scale more than rows do
//   low bytes of all row scales (fp16), then their high bytes
//   low bytes of all fp16 tensors' values, then their high bytes
//
// One raw payload per model: names, shapes and order follow from the fields; codes lie in [-R, R],
// scales are finite and not negative, a zero scale has zero codes, fp16 values are finite. So
// decoding and encoding again gives the same bytes, given the same compressor version.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "quant/artifact.h"
#include "quant/compress.h"
#include "src/base/result.h"

namespace pg {

constexpr uint32_t kArtifactMagic = 0x46414750;  // "PGAF"
constexpr uint16_t kArtifactVersion = 1;
// 1 GiB of fp32: ten times the largest model that ever fitted the challenge's cap.
constexpr int64_t kMaxArtifactElements = int64_t{1} << 28;
// A small file may not claim a large model: beyond 64 MiB the payload must be real (entropy-coded
// weights shrink by 1.3 to 4, this allows 256).
constexpr uint64_t kFreeRawBytes = uint64_t{1} << 26;
constexpr uint64_t kMaxRawRatio = 256;

struct ArtifactHeader {
  Compressor compressor = Compressor::kZstd;
  Sha256 tokenizer_sha256 = {};
  ModelConfig config;
  std::vector<uint8_t> bits;   // per tensor
  uint32_t payload_bytes = 0;  // compressed
};

// Where everything lies in the raw payload.
struct PayloadLayout {
  std::vector<ParamSpec> specs;  // list_params order
  std::vector<size_t> order;     // payload order: indices into specs
  int64_t codes = 0, scales = 0, values = 0;
  uint64_t raw_bytes() const { return static_cast<uint64_t>(codes + 2 * scales + 2 * values); }
};

PayloadLayout plan_payload(const ModelConfig& config, std::span<const uint8_t> bits);
uint32_t model_field_count();
uint32_t model_field_fingerprint();
// to[c, r] = from[r, c]
void transpose_codes(const int8_t* from, int64_t rows, int64_t cols, int8_t* to);

Bytes encode_payload(const QuantModel& model);
// The whole file from a header (payload_bytes is set here) and a compressed payload.
Bytes encode_artifact(ArtifactHeader header, std::span<const uint8_t> payload);
std::vector<uint8_t> tensor_bits(const QuantModel& model);

// Hostile input: both check everything that the layout above promises.
Result<ArtifactHeader> parse_header(ByteReader& reader);
Result<QuantModel> parse_payload(const ArtifactHeader& header, const PayloadLayout& layout,
                                 std::span<const uint8_t> raw);
// Hash, header, sizes, payload: everything unpack() does before dequantising.
Result<QuantModel> parse_artifact(std::span<const uint8_t> artifact);

}  // namespace pg
