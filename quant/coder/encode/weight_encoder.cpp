#include "quant/coder/encode/encode_io.h"
#include "quant/coder/weight_codec.h"

namespace pg {

struct WeightEncoder::State {
  EncodeIo io;
  Models models;
};
WeightEncoder::WeightEncoder() : state_(std::make_unique<State>()) {}
WeightEncoder::~WeightEncoder() = default;
void WeightEncoder::codes(const CodeShape& shape, std::span<const int8_t> codes, int role) {
  check_shape(shape, codes.size(), role);
  code_matrix(state_->io, state_->models[static_cast<size_t>(role)], shape, codes.data());
}
void WeightEncoder::halves(std::span<const uint16_t> halves, HalfKind kind, int role) {
  check_call(1, role);
  code_halves(state_->io, state_->models[static_cast<size_t>(role)].vectors, halves, kind);
}
void WeightEncoder::small_codes(std::span<const int8_t> codes, int max_code, int role) {
  check_call(max_code, role);
  code_small(state_->io, state_->models[static_cast<size_t>(role)].vectors, codes, max_code);
}
Bytes WeightEncoder::finish() { return state_->io.finish(); }
double WeightEncoder::ideal_bytes() const { return state_->io.bytes(); }

double price_codes(std::span<const CodeShape> shapes,
                   std::span<const std::span<const int8_t>> codes, std::span<const int> roles) {
  PriceIo io;
  Models models;
  for (size_t i = 0; i < shapes.size(); ++i) {
    check_shape(shapes[i], codes[i].size(), roles[i]);
    code_matrix(io, models[static_cast<size_t>(roles[i])], shapes[i], codes[i].data());
  }
  return io.bytes();
}

}  // namespace pg
