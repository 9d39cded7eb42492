// Quantised model to file bytes: the writing half of artifact_format.h. The reading half is
// unpack.cpp.
#include <bit>
#include <limits>
#include <type_traits>
#include <utility>

#include "quant/coder/weight_coder.h"
#include "quant/format/artifact_format.h"
#include "quant/format/storage_bits.h"
#include "quant/method/packed_encoder.h"
#include "src/base/check.h"
#include "src/model/model.h"

namespace pg {
namespace {

void write_form(const QuantTensor& t, ByteWriter& out) {
  const bool fine = t.fine.count > 0, low_rank = t.low_rank.rank > 0;
  out.u8(static_cast<uint8_t>(t.bits + (t.is_factored ? 32 : 0) + (fine ? 64 : 0) +
                              (low_rank ? 128 : 0)));
  if (fine) {
    out.u16(static_cast<uint16_t>(t.fine.begin));
    out.u16(static_cast<uint16_t>(t.fine.count));
  }
  if (low_rank) {
    out.u8(static_cast<uint8_t>(t.low_rank.rank));
    out.u8(static_cast<uint8_t>(t.low_rank.group));
  }
}

// Writes the streams of one tensor and charges each to what it holds.
template <class Encoder>
class StreamWriter {
 public:
  StreamWriter(Encoder* encoder, int role, const QuantTensor* tensor, TensorBytes* spent)
      : encoder_(encoder),
        role_(role),
        tensor_(tensor),
        spent_(spent),
        charged_(encoder->ideal_bytes()) {}

  void halves(const std::vector<uint16_t>& v, size_t count, HalfKind kind) {
    PG_CHECK(v.size() == count, "a tensor lacks fp16 numbers");
    encoder_->halves(v, kind, role_);
    charge(kind == HalfKind::kValues           ? spent_->values
           : &v == &tensor_->low_rank.b_scales ? spent_->low_rank
                                               : spent_->scales);
  }
  void half(uint16_t value) {
    encoder_->halves({&value, 1}, HalfKind::kValues, role_);
    charge(spent_->low_rank);
  }
  void real(float value) {
    const auto bits = std::bit_cast<uint32_t>(value);
    for (const uint16_t part : {static_cast<uint16_t>(bits >> 16), static_cast<uint16_t>(bits)}) {
      encoder_->halves({&part, 1}, HalfKind::kValues, role_);
    }
    charge(spent_->scales);
  }
  void small_codes(const std::vector<int8_t>& v, size_t count, int limit) {
    PG_CHECK(v.size() == count, "a tensor lacks small codes");
    encoder_->small_codes(v, limit, role_);
    charge(limit == kMaxOffset ? spent_->scales : spent_->low_rank);
  }
  void codes(const CodeShape& shape, const std::vector<int8_t>& v) {
    PG_CHECK(static_cast<int64_t>(v.size()) == shape.rows * shape.cols, "a tensor lacks codes");
    encoder_->codes(shape, v, role_);
    charge(spent_->codes);
  }

 private:
  // What was written since the last charge.
  void charge(double& bytes) {
    bytes += encoder_->ideal_bytes() - charged_;
    charged_ = encoder_->ideal_bytes();
  }

  Encoder* encoder_;
  int role_;
  const QuantTensor* tensor_;
  TensorBytes* spent_;
  double charged_;  // bytes of the stream that were charged so far
};

// From raw bytes to those of the stream.
void scale_bytes(const QuantModel& model, const std::vector<double>& shares,
                 std::vector<TensorBytes>& spent) {
  size_t call = 0;
  for (const PayloadEntry& entry : order_payload(list_params(model.config))) {
    TensorBytes& bytes = spent[entry.tensor];
    if (model.tensors[entry.tensor].bits != kHalfBits) bytes.codes *= shares[call++];
    for (double* rest : {&bytes.scales, &bytes.values, &bytes.low_rank}) *rest *= shares.back();
  }
}

template <class Encoder>
void write_streams(const QuantModel& model, Encoder& encoder, std::vector<TensorBytes>& spent) {
  spent.resize(model.tensors.size());
  for (const PayloadEntry& entry : order_payload(list_params(model.config))) {
    const QuantTensor& tensor = model.tensors[entry.tensor];
    visit_streams(tensor,
                  StreamWriter<Encoder>(&encoder, entry.role, &tensor, &spent[entry.tensor]));
  }
}

}  // namespace

Bytes encode_header(const QuantModel& model) {
  const std::vector<ParamSpec> specs = list_params(model.config);
  PG_CHECK(model.tensors.size() == specs.size(), "tensors must be those of list_params");
  ByteWriter out;
  out.u32(kArtifactMagic);
  out.u16(kArtifactVersion);
  out.u16(kExactArithmetic);
  out.bytes(model.tokenizer_sha256);
  const std::string keys =
      write_model_keys(model.config) + write_coder_key(model.coder) + model.scoring_keys;
  PG_CHECK(keys.size() <= std::numeric_limits<uint16_t>::max(), "an artifact's keys are too long");
  out.u16(static_cast<uint16_t>(keys.size()));
  out.bytes(as_bytes(keys));
  out.u16(static_cast<uint16_t>(specs.size()));
  for (size_t i = 0; i < specs.size(); ++i) {
    const QuantTensor& t = model.tensors[i];
    PG_CHECK(t.name == specs[i].name && t.rows == specs[i].rows && t.cols == specs[i].cols,
             "tensors must be those of list_params");
    write_form(t, out);
  }
  return out.take();
}

Bytes encode_weights(const QuantModel& model, std::vector<TensorBytes>* spent) {
  std::vector<TensorBytes> unwanted;
  std::vector<TensorBytes>& taken = spent != nullptr ? *spent : unwanted;
  taken.clear();
  if (model.coder == Coder::kOwn) {
    WeightEncoder encoder;
    write_streams(model, encoder, taken);
    return encoder.finish();
  }
  PackedEncoder encoder;
  write_streams(model, encoder, taken);
  std::vector<double> shares;
  Bytes stream = encoder.finish(model.coder, spent != nullptr ? &shares : nullptr);
  if (spent != nullptr) scale_bytes(model, shares, taken);
  return stream;
}

Bytes encode_artifact(const QuantModel& model, std::vector<TensorBytes>* spent) {
  ByteWriter out;
  out.bytes(encode_header(model));
  out.bytes(encode_weights(model, spent));
  const Sha256 digest = sha256(out.buffer());
  out.bytes(digest);
  return out.take();
}

}  // namespace pg
