// Packs a quantised model, proves that it unpacks to the same values, and holds it to the cap.
#include "quant/method/seal.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>

#include "quant/format/artifact_format.h"
#include "quant/format/storage_bits.h"
#include "quant/format/unpack.h"
#include "quant/method/code_entropy.h"
#include "src/base/error.h"
#include "src/model/model.h"

namespace pg {
namespace {

// The law that evaluation rests on: what is scored is what was packed, bit for bit.
void check_round_trip(const QuantModel& model, std::span<const uint8_t> artifact) {
  const Result<UnpackedModel> unpacked = unpack(artifact);
  PG_CHECK(unpacked.ok(), "a sealed artifact does not unpack");
  const std::vector<ParamSpec> specs = list_params(model.config);
  const std::vector<HostTensor>& tensors = unpacked.value().tensors();
  PG_CHECK(tensors.size() == specs.size(), "a sealed artifact lost tensors");
  PG_CHECK(unpacked.value().tokenizer_sha256() == model.tokenizer_sha256, "tokenizer hash changed");
  PG_CHECK(unpacked.value().scoring_keys() == model.scoring_keys, "scoring keys changed");
  for (size_t i = 0; i < specs.size(); ++i) {
    const std::vector<float> expected = dequantize(model.tensors[i], specs[i]).values;
    const std::vector<float>& found = tensors[i].values;
    PG_CHECK(found.size() == expected.size() &&
                 std::memcmp(found.data(), expected.data(), found.size() * sizeof(float)) == 0,
             "a sealed artifact unpacks to other values");
  }
}

void measure_codes(const QuantModel& model, const std::vector<TensorBytes>& spent,
                   PackSummary& summary) {
  for (const QuantTensor& t : model.tensors) {
    if (t.bits != kHalfBits) summary.entropy_bytes += order0_entropy_bytes(t.codes);
  }
  for (const TensorBytes& bytes : spent) summary.code_stream_bytes += bytes.codes;
}

void require_within_cap(const PackSummary& s) {
  if (s.total_bytes <= s.cap_bytes) return;
  throw Error(fmt::format(
      "artifact is {} bytes over the cap \"{}\": model {} plus code {}; set "
      "quant.fill_cap = true, or train a smaller model (model.layers, model.mlp_hidden, "
      "model.bigram_buckets)",
      s.total_bytes - s.cap_bytes, s.cap_bytes, s.model_bytes, s.code_bytes));
}

}  // namespace

SealedArtifact seal(const QuantModel& model, const QuantConfig& quant, int64_t code_bytes) {
  SealedArtifact out;
  std::vector<TensorBytes> spent;
  out.bytes = encode_artifact(model, &spent);
  PackSummary& s = out.summary;
  s.model_bytes = static_cast<int64_t>(out.bytes.size());
  s.code_bytes = code_bytes;
  s.total_bytes = s.model_bytes + code_bytes;
  s.cap_bytes = quant.cap_bytes;
  s.bits_per_weight =
      8.0 * static_cast<double>(s.model_bytes) / static_cast<double>(count_params(model.config));
  measure_codes(model, spent, s);
  check_round_trip(model, out.bytes);
  require_within_cap(s);
  return out;
}

const char* describe_features(const CodeFeatures& features) {
  if (features.learns) return features.mixes ? "learning and mixing" : "learning";
  return features.mixes ? "mixing" : "plain";
}

}  // namespace pg
