#include <array>

#include "quant/method/calibration.h"
#include "quant/method/pack_estimate.h"
#include "quant/method/quantize.h"
#include "quant/method/seal.h"
#include "src/base/bytes.h"
#include "src/device/cpu/cpu_device.h"
#include "tests/exact/exact_digests.h"

namespace pg {
namespace {

Calibration calibrate_exact(const std::vector<HostTensor>& weights) {
  constexpr int64_t kBatch = 2, kTokens = 32, kBatches = 6;
  const std::vector<int32_t> text = exact_text(kBatches * kBatch * kTokens + 1, 8);
  std::vector<CalibrationBatch> batches;
  for (int64_t i = 0; i < kBatches; ++i) {
    const auto from = text.begin() + i * kBatch * kTokens;
    batches.push_back({std::vector(from, from + kBatch * kTokens),
                       std::vector(from + 1, from + 1 + kBatch * kTokens)});
  }
  const auto device = make_cpu_device(DType::kF32);
  return calibrate(exact_model_config(), weights, batches, kBatch, kTokens, *device);
}

uint64_t digest_calibration(const Calibration& calibration) {
  uint64_t hash = kFnvOffset;
  for (const Sensitivity& tensor : calibration.tensors) {
    for (const SensitivityTerm& term : tensor.terms) {
      hash = digest_of(term.row_weight, digest_of(term.hessian, hash));
    }
  }
  return hash;
}

struct Method {
  std::string title;
  QuantConfig config;
};

std::vector<Method> list_methods() {
  QuantConfig base;
  base.fill_cap = false;
  base.keep_fp16_elements = 130;
  std::vector<Method> methods;
  for (const ScaleRule rule :
       {ScaleRule::kSensitivity, ScaleRule::kSdClip, ScaleRule::kSdClipHessian,
        ScaleRule::kGptqLiteRow, ScaleRule::kGptqLiteMatrix, ScaleRule::kRowMax,
        ScaleRule::kTernary}) {
    for (const Rounding rounding : {Rounding::kNearest, Rounding::kGptq}) {
      QuantConfig config = base;
      config.scales = rule;
      config.rounding = rounding;
      methods.push_back(
          {std::string(choice_name(rule)) + ", " + std::string(choice_name(rounding)), config});
    }
  }
  base.scales = ScaleRule::kSdClip;
  base.lqer_rank = 3;
  base.lqer_group = 16;
  methods.push_back({"sdclip with lqer", base});
  base.lqer_rank = 0;
  base.awq_group = true;
  methods.push_back({"sdclip with awq", base});
  QuantConfig filled;
  filled.keep_fp16_elements = 130;
  filled.cap_bytes = 12000;
  methods.push_back({"sensitivity to a cap", filled});
  filled.scales = ScaleRule::kSdClip;
  filled.lqer_rank = 2;
  methods.push_back({"sdclip with lqer to a cap", filled});
  return methods;
}

}  // namespace

void digest_packing(Digests& digests) {
  const ModelConfig config = exact_model_config();
  const std::vector<HostTensor> weights = train_exact_model();
  const Calibration calibration = calibrate_exact(weights);
  digests.push_back({"calibration", digest_calibration(calibration)});
  QuantInput input;
  input.config = &config;
  input.weights = &weights;
  input.calibration = &calibration;
  std::vector<int64_t> projected;
  for (const Method& method : list_methods()) {
    const QuantResult result = quantize(input, method.config, /*code_bytes=*/0);
    const Bytes file = seal(result.model, method.config, /*code_bytes=*/0).bytes;
    digests.push_back({"artifact, " + method.title, digest_of(file)});
    projected.push_back(project_bytes(weights, method.config, 0));
  }
  digests.push_back({"projected bytes", digest_of(projected)});
}

}  // namespace pg
