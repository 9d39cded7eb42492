// Weights in the exchange format of the public tools (safetensors): a length, a JSON header, raw
// values. What is read is a stranger's: every defect is an error text, and memory is bounded by the
// file's own size.
#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "src/base/bytes.h"
#include "src/base/result.h"
#include "src/plan/weights.h"

namespace pg {

using SafetensorsMetadata = std::map<std::string, std::string>;

// Ten times what 128 blocks with all their tensors need.
constexpr uint64_t kMaxSafetensorsHeaderBytes = uint64_t{1} << 22;

// One F32 tensor of shape [rows, cols] each, in the given order; metadata by key. The same tensors
// and metadata give the same bytes.
Bytes write_safetensors(const std::vector<HostTensor>& tensors,
                        const SafetensorsMetadata& metadata);

// The strings under "__metadata__", after checking the whole header.
Result<SafetensorsMetadata> parse_safetensors_metadata(std::span<const uint8_t> file);

// Exactly the tensors of `specs`, in their order and as fp32, whatever the order in the file: F32,
// F16 and BF16 are read. A spec of one row takes a shape [cols] too, one of a single value a scalar's
// shape []. Values may be non-finite; the quantiser refuses those.
Result<std::vector<HostTensor>> parse_safetensors(std::span<const uint8_t> file,
                                                  const std::vector<ParamSpec>& specs);

}  // namespace pg
