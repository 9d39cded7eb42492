// The header of a safetensors file, checked. Internal to this folder; apart from safetensors.cpp because the
// JSON library stays behind this one.
//
//   bytes  field
//   8      header bytes H, little endian
//   H      JSON: {"__metadata__": {key: text}, name: {"dtype", "shape", "data_offsets"}, ...},
//   padded
//          with spaces
//   ...    values: the tensors' ranges cover them without gap or overlap
#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/result.h"
#include "src/plan/weights.h"

namespace pg {

struct SafetensorsEntry {
  std::string dtype;  // "F32", "F16", "BF16"
  std::vector<uint64_t> shape;
  std::vector<uint64_t> data_offsets;  // [begin, end) in SafetensorsHeader::data
};

struct SafetensorsHeader {
  std::map<std::string, std::string> metadata;
  std::map<std::string, SafetensorsEntry> entries;  // by name
  std::span<const uint8_t> data;                    // part of the file
};

// Bytes of one value; 0 for a type that is not read.
uint64_t safetensors_value_bytes(std::string_view dtype);

// `bytes` holds values of the type, as many as fit.
std::vector<float> read_safetensors_values(std::string_view dtype, std::span<const uint8_t> bytes);
// [rows, cols]; a spec of one row is [cols] too, one of a single value a scalar's [].
bool has_param_shape(std::span<const uint64_t> shape, const ParamSpec& spec);

// Hostile input. Everything that the layout above promises holds for what it gives.
Result<SafetensorsHeader> parse_safetensors_header(std::span<const uint8_t> file);

}  // namespace pg
