// From artifact bytes to weights: the only way into evaluation. The bytes are a stranger's: every
// defect is an error text, never a crash, and memory is bounded by what the header may declare.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "src/base/hash.h"
#include "src/base/result.h"
#include "src/model/model_config.h"
#include "src/plan/weights.h"

namespace pg {

class UnpackedModel {
 public:
  const ModelConfig& config() const { return config_; }
  // Dequantised fp32 parameters, named and ordered as list_params(config()) gives them.
  const std::vector<HostTensor>& tensors() const { return tensors_; }
  // SHA-256 of the tokenizer's model file that the artifact was trained with.
  const Sha256& tokenizer_sha256() const { return tokenizer_sha256_; }
  const Sha256& artifact_sha256() const { return artifact_sha256_; }
  // How the artifact is scored: read_scoring() in eval/scoring_keys.h reads them.
  const std::string& scoring_keys() const { return scoring_keys_; }

 private:
  friend Result<UnpackedModel> unpack(std::span<const uint8_t> artifact);
  UnpackedModel() = default;
  ModelConfig config_;
  std::vector<HostTensor> tensors_;
  std::string scoring_keys_;
  Sha256 tokenizer_sha256_ = {}, artifact_sha256_ = {};
};

Result<UnpackedModel> unpack(std::span<const uint8_t> artifact);

}  // namespace pg
