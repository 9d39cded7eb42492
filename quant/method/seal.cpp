// Packs a quantised model, proves that it unpacks to the same values, and holds it to the cap.
#include "quant/method/seal.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>
#include <vector>

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

std::vector<CoderBytes> compare_coders(const QuantModel& model, const CodeSizes& code_bytes,
                                       const WorkProgressFn& progress) {
  std::vector<CoderBytes> coders;
  QuantModel packed = model;
  for (const Coder coder : kCoders) {
    if (progress) progress(fmt::format("pack: {}", choice_name(coder)));
    packed.coder = coder;
    coders.push_back({coder, std::ssize(encode_artifact(packed)), code_bytes.of(coder)});
  }
  return coders;
}

Coder find_smallest(const std::vector<CoderBytes>& coders) {
  return std::ranges::min_element(coders, {}, &CoderBytes::total_bytes)->coder;
}

SealedArtifact seal(QuantModel model, const QuantConfig& quant, const CodeSizes& code_bytes,
                    const WorkProgressFn& progress) {
  SealedArtifact out;
  PackSummary& s = out.summary;
  if (quant.coder == CoderChoice::kAuto) {
    s.coders = compare_coders(model, code_bytes, progress);
    model.coder = find_smallest(s.coders);
  } else {
    model.coder = static_cast<Coder>(quant.coder);
  }
  std::vector<TensorBytes> spent;
  out.bytes = encode_artifact(model, &spent);
  s.coder = model.coder;
  s.model_bytes = static_cast<int64_t>(out.bytes.size());
  s.code_bytes = code_bytes.of(model.coder);
  s.total_bytes = s.model_bytes + s.code_bytes;
  s.cap_bytes = quant.cap_bytes;
  s.bits_per_weight =
      8.0 * static_cast<double>(s.model_bytes) / static_cast<double>(count_params(model.config));
  measure_codes(model, spent, s);
  check_round_trip(model, out.bytes);
  require_within_cap(s);
  return out;
}

std::string describe_features(const CodeFeatures& features) {
  std::vector<std::string> names;
  if (features.learns) names.emplace_back("learning");
  if (features.mixes) names.emplace_back("mixing");
  if (features.parts) names.emplace_back("parts beyond the base");
  std::string text = names.empty() ? "plain" : names.back();
  if (names.size() > 1) {
    names.pop_back();
    text = fmt::format("{} and {}", fmt::join(names, ", "), text);
  }
  if (features.coder != Coder::kOwn) text += fmt::format(", {}", choice_name(features.coder));
  return text;
}

}  // namespace pg
