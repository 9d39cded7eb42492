// Safetensors on any bytes: an error text, or weights whose own file reads back to themselves.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "harness/exchange/safetensors.h"
#include "harness/exchange/weights_file.h"

namespace {

pg::ParamSpec make_spec(const char* name, int64_t rows, int64_t cols) {
  pg::ParamSpec spec;
  spec.name = name;
  spec.rows = rows;
  spec.cols = cols;
  return spec;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const uint8_t> file(data, size);
  // The tensors of corpus/safetensors/public.safetensors.
  const std::vector<pg::ParamSpec> specs = {make_spec("a.half", 6, 8), make_spec("b.wide", 4, 8),
                                            make_spec("c.brain", 1, 48)};
  if (const auto tensors = pg::parse_safetensors(file, specs); tensors.ok()) {
    const auto metadata = pg::parse_safetensors_metadata(file);
    const pg::Bytes own = pg::write_safetensors(tensors.value(), metadata.value());
    if (pg::write_safetensors(pg::parse_safetensors(own, specs).value(), metadata.value()) != own) {
      std::abort();
    }
  }
  if (const auto weights = pg::parse_weights_file(file); weights.ok()) {
    const pg::Bytes own = pg::encode_weights_file(weights.value());
    if (pg::encode_weights_file(pg::parse_weights_file(own).value()) != own) std::abort();
  }
  return 0;
}
