#include "harness/exchange/safetensors.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>

#include "harness/exchange/safetensors_header.h"
#include "kernels/bf16.h"
#include "quant/format/half.h"
#include "src/text/json_object.h"
#include "src/text/text_escape.h"

namespace pg {
namespace {

static_assert(std::endian::native == std::endian::little, "values are copied as they lie");

constexpr size_t kAlignment = 8;

std::string format_shape(const std::vector<uint64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

}  // namespace

bool has_param_shape(std::span<const uint64_t> shape, const ParamSpec& spec) {
  const auto rows = static_cast<uint64_t>(spec.rows), cols = static_cast<uint64_t>(spec.cols);
  if (shape.size() == 2) return shape[0] == rows && shape[1] == cols;
  if (shape.size() == 1) return rows == 1 && shape[0] == cols;
  return shape.empty() && rows == 1 && cols == 1;
}

std::vector<float> read_safetensors_values(std::string_view dtype, std::span<const uint8_t> bytes) {
  std::vector<float> values(bytes.size() / safetensors_value_bytes(dtype));
  if (dtype == "F32") {
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }
  for (size_t i = 0; i < values.size(); ++i) {
    uint16_t bits;
    std::memcpy(&bits, bytes.data() + 2 * i, sizeof bits);
    values[i] =
        dtype == "F16" ? float_from_half(bits) : static_cast<float>(std::bit_cast<bf16>(bits));
  }
  return values;
}

Bytes write_safetensors(const std::vector<HostTensor>& tensors,
                        const SafetensorsMetadata& metadata) {
  JsonObject strings, json;
  for (const auto& [key, value] : metadata) strings.add(key, value);
  json.add("__metadata__", strings);
  int64_t end = 0;
  for (const HostTensor& tensor : tensors) {
    const int64_t begin = end;
    end += 4 * tensor.spec.elements();
    json.add(tensor.spec.name,
             JsonObject()
                 .add("dtype", "F32")
                 .add("shape", std::vector<int64_t>{tensor.spec.rows, tensor.spec.cols})
                 .add("data_offsets", std::vector<int64_t>{begin, end}));
  }
  std::string header = json.line();
  header.resize((header.size() + kAlignment - 1) / kAlignment * kAlignment, ' ');
  ByteWriter prefix;
  prefix.u64(header.size());
  prefix.bytes(as_bytes(header));
  Bytes file = prefix.take();
  file.resize(file.size() + static_cast<size_t>(end));
  uint8_t* to = file.data() + file.size() - end;
  for (const HostTensor& tensor : tensors) {
    const size_t bytes = tensor.values.size() * sizeof(float);
    PG_CHECK(bytes == 4 * static_cast<size_t>(tensor.spec.elements()), "values of another shape");
    std::memcpy(to, tensor.values.data(), bytes);
    to += bytes;
  }
  return file;
}

Result<SafetensorsMetadata> parse_safetensors_metadata(std::span<const uint8_t> file) {
  Result<SafetensorsHeader> header = parse_safetensors_header(file);
  if (!header.ok()) return Failure{header.error()};
  return std::move(header.value().metadata);
}

Result<std::vector<HostTensor>> parse_safetensors(std::span<const uint8_t> file,
                                                  const std::vector<ParamSpec>& specs) {
  Result<SafetensorsHeader> header = parse_safetensors_header(file);
  if (!header.ok()) return Failure{header.error()};
  auto& entries = header.value().entries;
  std::vector<HostTensor> tensors;
  for (const ParamSpec& spec : specs) {
    const auto found = entries.find(spec.name);
    if (found == entries.end()) {
      return Failure{fmt::format("tensor \"{}\" is missing; the model needs it with shape [{}, {}]",
                                 spec.name, spec.rows, spec.cols)};
    }
    const SafetensorsEntry& entry = found->second;
    if (!has_param_shape(entry.shape, spec)) {
      return Failure{fmt::format("tensor \"{}\" has the shape {}; the model needs [{}, {}]",
                                 spec.name, format_shape(entry.shape), spec.rows, spec.cols)};
    }
    const uint64_t begin = entry.data_offsets[0], bytes = entry.data_offsets[1] - begin;
    tensors.push_back(
        {spec, read_safetensors_values(entry.dtype, header.value().data.subspan(begin, bytes))});
    entries.erase(found);
  }
  if (entries.empty()) return tensors;
  return Failure{fmt::format("tensor \"{}\" is not one of the model's",
                             escape_terminal(entries.begin()->first))};
}

}  // namespace pg
