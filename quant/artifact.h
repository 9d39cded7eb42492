// Quantised weights and the artifact that holds them: quantise, price, seal under the cap.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "quant/quant_config.h"
#include "src/base/bytes.h"
#include "src/base/hash.h"
#include "src/model/model_config.h"
#include "src/plan/weights.h"

namespace pg {

// One parameter as stored: int codes with one fp16 scale per row, or fp16 values (bits = 16).
struct QuantTensor {
  std::string name;
  int64_t rows = 0, cols = 0;
  int bits = 16;
  std::vector<int8_t> codes;     // [rows, cols], empty for bits = 16
  std::vector<uint16_t> halves;  // fp16: [rows] scales, or [rows, cols] values for bits = 16
};

struct QuantModel {
  ModelConfig config;
  Sha256 tokenizer_sha256 = {};
  std::vector<QuantTensor> tensors;  // in list_params order
};

// Quantises full-precision weights (quant_eval.md 1.1, 1.2 C). Throws Error on a non-finite weight,
// naming its tensor.
QuantModel quantize(const ModelConfig& config, const std::vector<HostTensor>& weights,
                    const Sha256& tokenizer_sha256, const QuantConfig& quant);
// The fp32 values that the codes stand for.
HostTensor dequantize(const QuantTensor& tensor, const ParamSpec& spec);

struct PackSummary {
  std::string compressor;                  // the one chosen: "zstd" or "lzma"
  int64_t zstd_bytes = 0, lzma_bytes = 0;  // of the whole model file with either; 0 when not tried
  int64_t model_bytes = 0;                 // size of the chosen file
  int64_t code_bytes = 0;
  int64_t total_bytes = 0;  // model + code: what the cap counts
  int64_t cap_bytes = 0;
  double bits_per_weight = 0;  // model file over all parameters
};

struct SealedArtifact {
  Bytes bytes;
  PackSummary summary;
};

// Serialises, compresses, checks that unpack() gives back the very same model. Throws Error when
// model plus code pass the cap, saying by how many bytes.
SealedArtifact seal(const QuantModel& model, const QuantConfig& quant, int64_t code_bytes);

// Bytes of the compressed sources needed to decode and score (quant/artifact_sources.txt), as built
// into this program.
int64_t counted_code_bytes();
Bytes code_bundle();

// What a model will take, from shapes alone, before training: `least` no run of this kind has gone
// below, `likely` is typical.
struct PackForecast {
  int64_t least_bytes = 0, likely_bytes = 0;  // code included
};
PackForecast forecast_pack(const ModelConfig& config, const QuantConfig& quant, int64_t code_bytes);
// Order-0 entropy of the codes plus the other parts: the projected total, fast enough to show
// during training.
int64_t project_bytes(const std::vector<HostTensor>& weights, const QuantConfig& quant,
                      int64_t code_bytes);

}  // namespace pg
