// Full-precision weights as a file of their own, so that they can be quantised again without
// training again: safetensors whose metadata say everything an artifact needs beside the values.
#pragma once
#include <filesystem>
#include <span>
#include <vector>

#include "src/base/bytes.h"
#include "src/base/hash.h"
#include "src/base/result.h"
#include "src/model/model_config.h"
#include "src/plan/weights.h"

namespace pg {

struct WeightsFile {
  ModelConfig config;
  Sha256 tokenizer_sha256 = {};
  std::vector<HostTensor> tensors;  // in list_params order
};

// Metadata: "model.<key>" for every model field, as in a recipe, and "tokenizer_sha256" in hex.
Bytes encode_weights_file(const WeightsFile& weights);
// Writes the file whole or not at all; gives its size.
int64_t write_weights_file(const std::filesystem::path& path, const WeightsFile& weights);

// Hostile input. A failure names the metadata key or the tensor. Values may be non-finite.
Result<WeightsFile> parse_weights_file(std::span<const uint8_t> file);
// Throws Error when the file cannot be read at all.
Result<WeightsFile> read_weights_file(const std::filesystem::path& path);

}  // namespace pg
