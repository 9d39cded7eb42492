#include "quant/coder/weight_codec.h"
#include "quant/coder/weight_io.h"

namespace pg {

struct WeightDecoder::State {
  explicit State(std::span<const uint8_t> stream) : io(stream) {}
  DecodeIo io;
  Models models;
};
WeightDecoder::WeightDecoder(std::span<const uint8_t> stream)
    : state_(std::make_unique<State>(stream)) {}
WeightDecoder::~WeightDecoder() = default;
bool WeightDecoder::codes(const CodeShape& shape, std::span<int8_t> out, int role) {
  check_shape(shape, out.size(), role);
  return !failed() &&
         code_matrix(state_->io, state_->models[static_cast<size_t>(role)], shape, out.data());
}
bool WeightDecoder::halves(std::span<uint16_t> out, HalfKind kind, int role) {
  check_call(1, role);
  return !failed() &&
         code_halves(state_->io, state_->models[static_cast<size_t>(role)].vectors, out, kind);
}
bool WeightDecoder::small_codes(std::span<int8_t> out, int max_code, int role) {
  check_call(max_code, role);
  return !failed() &&
         code_small(state_->io, state_->models[static_cast<size_t>(role)].vectors, out, max_code);
}
bool WeightDecoder::finish() { return state_->io.finished(); }
bool WeightDecoder::failed() const { return !state_->io.ok(); }

}  // namespace pg
