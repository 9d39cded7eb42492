// The parser of strangers' artifacts. Order of checks: hash, then header, then sizes, then memory.
// Every count is compared with a limit before anything of that size is allocated.
#include "quant/format/unpack.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <type_traits>

#include "quant/format/artifact_format.h"
#include "quant/format/code_limits.h"
#include "quant/format/half.h"
#include "src/base/threads.h"
#include "src/model/model.h"

namespace pg {
namespace {

constexpr size_t kDigestBytes = sizeof(Sha256);

// Form of one tensor; an error text, or empty.
std::string read_form(ByteReader& reader, const ParamSpec& spec, QuantTensor& t) {
  const uint8_t byte = reader.u8();
  t.name = spec.name;
  t.rows = spec.rows;
  t.cols = spec.cols;
  t.bits = byte & 31;
  t.is_factored = (byte & 32) != 0;
  const bool has_codes = t.bits >= 2 && t.bits <= 8;
  if (!has_codes && byte != kHalfBits) return "\"" + spec.name + "\" has an unknown bit width";
  if ((byte & 64) != 0) {
    t.fine.begin = reader.u16();
    t.fine.count = reader.u16();
    if (t.is_factored || t.fine.count == 0 || t.fine.begin + t.fine.count > t.cols) {
      return "the fine columns of \"" + spec.name + "\" are out of range";
    }
  }
  if ((byte & 128) != 0) {
    t.low_rank.rank = reader.u8();
    t.low_rank.group = reader.u8();
    if (t.low_rank.rank < 1 || t.low_rank.rank > kMaxLowRank || t.low_rank.group < 1) {
      return "the low rank of \"" + spec.name + "\" is out of range";
    }
  }
  return reader.ok() ? "" : "the header is cut short";
}

bool are_scales(std::span<const uint16_t> halves) {
  return std::all_of(halves.begin(), halves.end(),
                     [](uint16_t h) { return is_finite_half(h) && h < 0x8000; });
}

// What the coder cannot know: finite numbers, codes within their own limit, zero where the scale is
// zero. An error text, or empty.
std::string check_numbers(const QuantTensor& t) {
  const auto fail = [&](const char* what) { return what + (" of \"" + t.name) + "\""; };
  if (t.bits == kHalfBits) {
    const bool finite = std::all_of(t.halves.begin(), t.halves.end(), is_finite_half);
    return finite ? "" : fail("an fp16 value is not finite: that");
  }
  if (!are_scales(t.halves) || !are_scales(t.fine.scales) || !are_scales(t.low_rank.b_scales) ||
      !are_scales({&t.low_rank.a_scale, 1}) || !(t.scale >= 0 && std::isfinite(t.scale)) ||
      std::signbit(t.scale)) {
    return fail("a scale is not finite or negative: that");
  }
  const auto in = [](const std::vector<int8_t>& v, int low, int high) {
    return std::all_of(v.begin(), v.end(), [&](int q) { return q >= low && q <= high; });
  };
  if (!in(t.low_rank.a, -2, 1) || !in(t.low_rank.b, -8, 7)) return fail("a low-rank code");
  const int64_t fine_end = t.fine.begin + t.fine.count;
  for (int64_t r = 0; r < t.rows; ++r) {
    const auto row = static_cast<size_t>(r);
    const int limit = (t.is_factored ? t.scale == 0 : t.halves[row] == 0) ? 0 : max_code(t.bits);
    const int fine_limit = t.fine.count > 0 && t.fine.scales[row] > 0 ? 127 : 0;
    const int8_t* codes = t.codes.data() + r * t.cols;
    int largest = 0, largest_fine = 0;
    for (int64_t c = 0; c < t.cols; ++c) {
      int& most = c >= t.fine.begin && c < fine_end ? largest_fine : largest;
      most = std::max<int>(most, std::abs(codes[c]));
    }
    if (largest > limit || largest_fine > fine_limit) return fail("a code out of range: that");
  }
  return "";
}

// The dimensions are checked; this bounds what they multiply to. Empty when the sizes are sane.
std::string check_sizes(const ArtifactHeader& header, uint64_t stream_bytes) {
  int64_t elements = 0;
  for (const QuantTensor& t : header.forms) elements += t.rows * t.cols;
  if (elements > kMaxArtifactElements) {
    return "the model is too large: \"" + std::to_string(elements) +
           "\" parameters, the limit is " + std::to_string(kMaxArtifactElements);
  }
  const auto allowed = kMaxElementsPerByte * static_cast<int64_t>(stream_bytes);
  if (elements > std::max(kFreeElements, allowed)) {
    return "the payload of \"" + std::to_string(stream_bytes) +
           "\" bytes is too small for the model it declares";
  }
  return "";
}

struct StreamReader {
  WeightSource* source;
  int role;

  void halves(std::vector<uint16_t>& v, size_t count, HalfKind kind) const {
    v.resize(count);
    source->halves(v, kind, role);
  }
  void half(uint16_t& value) const { source->halves({&value, 1}, HalfKind::kValues, role); }
  void real(float& value) const {
    uint16_t high = 0, low = 0;
    half(high);
    half(low);
    value = std::bit_cast<float>(uint32_t{high} << 16 | low);
  }
  void small_codes(std::vector<int8_t>& v, size_t count, int limit) const {
    v.resize(count);
    source->small_codes(v, limit, role);
  }
  void codes(const CodeShape& shape, std::vector<int8_t>& v) const {
    v.resize(static_cast<size_t>(shape.rows * shape.cols));
    source->codes(shape, v, role);
  }
};

Failure refuse_version(uint16_t version) {
  const std::string what = "artifact version \"" + std::to_string(version) +
                           "\", this build reads " + std::to_string(kArtifactVersion);
  if (version > kArtifactVersion) return {what + "; use the program that wrote it"};
  return {what +
          ": an older file does not say how it is scored; pack the run's final_model.safetensors "
          "again with train_gpt pack, or score it with the program that wrote it"};
}

}  // namespace

Result<ArtifactHeader> parse_header(ByteReader& reader) {
  ArtifactHeader header;
  if (reader.u32() != kArtifactMagic) {
    return Failure{"not a model artifact: the first bytes are not \"PGAF\""};
  }
  const uint16_t version = reader.u16();
  if (version != kArtifactVersion) return refuse_version(version);
  const uint16_t arithmetic = reader.u16();
  const std::span<const uint8_t> tokenizer = reader.bytes(kDigestBytes);
  const std::span<const uint8_t> bytes = reader.bytes(reader.u16());
  if (!reader.ok()) return Failure{"the header is cut short"};
  if (arithmetic != kExactArithmetic) {
    return Failure{"the artifact's score is for arithmetic \"" + std::to_string(arithmetic) +
                   "\", this build computes by " + std::to_string(kExactArithmetic) +
                   "; score it with the program that wrote it"};
  }
  std::copy(tokenizer.begin(), tokenizer.end(), header.tokenizer_sha256.begin());
  std::string_view keys(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::string error = read_model_keys(keys, header.config);
  if (error.empty()) error = read_coder_key(keys, header.coder);
  if (!error.empty()) return Failure{std::move(error)};
  header.scoring_keys = keys;
  const uint16_t tensors = reader.u16();
  const std::vector<ParamSpec> specs = list_params(header.config);
  if (!reader.ok()) return Failure{"the header is cut short"};
  if (tensors != specs.size()) {
    return Failure{"wrong number of tensors: \"" + std::to_string(tensors) + "\""};
  }
  for (const ParamSpec& spec : specs) {
    if (std::string error = read_form(reader, spec, header.forms.emplace_back()); !error.empty()) {
      return Failure{std::move(error)};
    }
  }
  return header;
}

Result<QuantModel> parse_payload(const ArtifactHeader& header, std::span<const uint8_t> stream) {
  QuantModel model{.config = header.config,
                   .tokenizer_sha256 = header.tokenizer_sha256,
                   .coder = header.coder,
                   .scoring_keys = header.scoring_keys,
                   .tensors = header.forms};
  const std::unique_ptr<WeightSource> source = open_weights(header, stream);
  if (source == nullptr) {
    return Failure{"this program was built without the artifact's coder, \"" +
                   std::string(choice_name(header.coder)) + "\"; build the sources counted for it"};
  }
  for (const PayloadEntry& entry : order_payload(list_params(header.config))) {
    QuantTensor& tensor = model.tensors[entry.tensor];
    visit_streams(tensor, StreamReader{source.get(), entry.role});
    if (source->failed()) return Failure{"the weights are cut short or damaged"};
    if (std::string error = check_numbers(tensor); !error.empty()) {
      return Failure{std::move(error)};
    }
  }
  if (!source->finish()) return Failure{"the weights do not end where they should"};
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
  if (std::string error = check_sizes(header.value(), reader.remaining()); !error.empty()) {
    return Failure{std::move(error)};
  }
  return parse_payload(header.value(), reader.bytes(reader.remaining()));
}

// No input throws. An exhausted machine does, which is no fault of the artifact's.
Result<UnpackedModel> unpack(std::span<const uint8_t> artifact) {
  Result<QuantModel> parsed = parse_artifact(artifact);
  if (!parsed) return Failure{parsed.error()};
  QuantModel& quantised = parsed.value();
  const std::vector<ParamSpec> specs = list_params(quantised.config);
  UnpackedModel model;
  model.config_ = quantised.config;
  model.tokenizer_sha256_ = quantised.tokenizer_sha256;
  model.scoring_keys_ = quantised.scoring_keys;
  model.artifact_sha256_ = sha256(artifact);
  for (size_t i = 0; i < specs.size(); ++i) {
    model.tensors_.push_back(dequantize(quantised.tensors[i], specs[i]));
    // Memory: codes and floats never stand side by side for the whole model.
    quantised.tensors[i] = {};
  }
  return model;
}

}  // namespace pg
