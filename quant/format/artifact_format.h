// The artifact file. Internal to quant, and to the reports that take a file apart (`size`, `bench
// pack`): everyone else goes through seal() and unpack(). Little endian. docs/artifact.md describes
// it for others.
//
//   bytes  field
//   4      magic "PGAF"
//   2      version, 3
//   2      version of the arithmetic that the score is for
//   32     SHA-256 of the tokenizer's model file
//   2      bytes of keys
//   ...    keys that are not at their frozen value (src/base/stored_keys.h), a line each: those of
//          the model, "model.layers=5", the coder, "quant.coder="zstd"", then how it is scored,
//          "eval.context=256"
//   2      number of tensors N
//   ...    form of each tensor, in list_params order:
//          u8 bits (2 to 8 for codes, 16 for fp16) + 32 factored + 64 fine columns + 128 low rank
//          fine columns: u16 first column, u16 columns; low rank: u8 rank, u8 group
//   ...    the coder's stream to the digest, tensor after tensor in payload order: rANS
//          (weight_coder.h), or plain bytes packed by zstd or lzma (packed/packed_weights.h)
//   32     SHA-256 of everything before
//
// Payload order: grouped by role, which is the name without its digits. Per tensor: values, or
// scales, fine scales, low-rank factors and codes.
//
// One file per model: names, shapes and order follow from the fields; every number has one
// encoding; codes lie in [-R, R], scales are finite and not negative, a zero scale has zero codes,
// fp16 values are finite; and our coder has one stream for one sequence of symbols, where those of
// zstd and lzma have many.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "quant/coder/weight_source.h"
#include "quant/format/quant_model.h"
#include "quant/format/scale_grid.h"
#include "src/base/bytes.h"
#include "src/base/result.h"

namespace pg {

constexpr uint32_t kArtifactMagic = 0x46414750;  // "PGAF"
constexpr uint16_t kArtifactVersion = 3;
// Of the exact device, of what learns and mixes while scoring, and of the coder of texts: raised
// with any change of a bit that they compute.
constexpr uint16_t kExactArithmetic = 1;
// 1 GiB of fp32: ten times the largest model that ever fitted the challenge's cap.
constexpr int64_t kMaxArtifactElements = int64_t{1} << 28;
// A small file may not claim a large model: beyond 16M weights there must be a byte for every 256
// of them (real ones pack 1.5 to 8 to a byte).
constexpr int64_t kFreeElements = int64_t{1} << 24;
constexpr int64_t kMaxElementsPerByte = 256;

constexpr int kMaxLowRank = 16;

struct ArtifactHeader {
  Sha256 tokenizer_sha256 = {};
  ModelConfig config;
  Coder coder = Coder::kOwn;
  std::string scoring_keys;
  std::vector<QuantTensor> forms;  // list_params order: everything but the numbers
};

// Tensors in payload order, each with the number of its role.
struct PayloadEntry {
  size_t tensor = 0;  // index in list_params order
  int role = 0;       // 0..15
};
std::vector<PayloadEntry> order_payload(const std::vector<ParamSpec>& specs);

std::string write_model_keys(const ModelConfig& config);
std::string write_coder_key(Coder coder);  // empty for our own
// Take the keys of the model, then the coder's, from the head of `keys`, whose rest is how it is
// scored. An error text, or empty.
std::string read_model_keys(std::string_view& keys, ModelConfig& config);
std::string read_coder_key(std::string_view& keys, Coder& coder);

// Calls the visitor for each stream of a tensor in file order: half(v), real(v), halves(vector,
// count, kind), small_codes(vector, count, max_code), codes(shape, vector). One walk serves writer
// and reader.
template <class Tensor, class Visitor>
void visit_streams(Tensor& t, Visitor&& visit) {
  const auto elements = static_cast<size_t>(t.rows * t.cols);
  const auto rows = static_cast<size_t>(t.rows), cols = static_cast<size_t>(t.cols);
  if (t.bits == 16) {
    visit.halves(t.halves, elements, HalfKind::kValues);
    return;
  }
  if (!t.is_factored) {
    visit.halves(t.halves, rows, HalfKind::kScales);
  } else {
    visit.real(t.scale);
    visit.small_codes(t.row_offsets, rows, kMaxOffset);
    visit.small_codes(t.col_offsets, cols, kMaxOffset);
  }
  if (t.fine.count > 0) visit.halves(t.fine.scales, rows, HalfKind::kScales);
  if (t.low_rank.rank > 0) {
    const auto rank = static_cast<size_t>(t.low_rank.rank);
    const auto group = static_cast<size_t>(t.low_rank.group);
    visit.small_codes(t.low_rank.a, rows * rank, 2);
    visit.small_codes(t.low_rank.b, rank * cols, 8);
    visit.halves(t.low_rank.b_scales, (rank * cols + group - 1) / group, HalfKind::kScales);
    visit.half(t.low_rank.a_scale);
  }
  // The widest limit where tensors of a role may differ: the coder keeps statistics per limit.
  const int limit = t.is_factored || t.fine.count > 0 ? 127 : (1 << (t.bits - 1)) - 1;
  visit.codes(CodeShape{t.rows, t.cols, limit}, t.codes);
}

// What a tensor took of the stream: as our coder prices it. Of zstd and lzma: as the raw bytes of its
// codes (lzma: of all codes) and of all the rest were packed on average.
struct TensorBytes {
  double codes = 0, scales = 0, values = 0, low_rank = 0;
  double total() const { return codes + scales + values + low_rank; }
};

Bytes encode_header(const QuantModel& model);
// `spent`, if any, gets an entry per tensor, in list_params order.
Bytes encode_weights(const QuantModel& model, std::vector<TensorBytes>* spent = nullptr);
// Header, weights and the digest of both.
Bytes encode_artifact(const QuantModel& model, std::vector<TensorBytes>* spent = nullptr);

// By the header's coder; null where this program was built without it, as each counted scorer is
// without two. The stream must outlive what is given.
std::unique_ptr<WeightSource> open_weights(const ArtifactHeader& header,
                                           std::span<const uint8_t> stream);

// Hostile input: each checks everything that the layout above promises.
Result<ArtifactHeader> parse_header(ByteReader& reader);
Result<QuantModel> parse_payload(const ArtifactHeader& header, std::span<const uint8_t> stream);
// Hash, header, sizes, payload: everything unpack() does before dequantising.
Result<QuantModel> parse_artifact(std::span<const uint8_t> artifact);

}  // namespace pg
