// What an artifact will weigh, without making one: from shapes before training, from weights during
// it.
//
// project_bytes() rounds to the nearest code on the rows' own scales instead of searching, and asks
// the coder. tests/quant/pack_estimate_test.cpp holds it to 3 % of the real thing.
#include "quant/method/pack_estimate.h"

#include <algorithm>
#include <cmath>

#include "quant/coder/weight_coder.h"
#include "quant/format/artifact_format.h"
#include "quant/format/half.h"
#include "quant/format/storage_bits.h"
#include "src/base/exact_math.h"
#include "src/base/lane_sums.h"
#include "src/model/model.h"

namespace pg {
namespace {

constexpr double kHeaderBytes = 190;  // artifact_format.h; plus one byte per tensor
// The coder takes this much of the order-0 entropy at most (tests/quant/weight_coder_test.cpp).
constexpr double kCoderOverEntropy = 1.003;
// Of an artifact, against ours of the same numbers. Random models of 2M parameters by the methods of
// [quant] have 1.007 to 1.055 with zstd and 1.02 to 1.09 with lzma (most with three levels), trained
// ones of the CPU track 1.04 to 1.055 and 1.044 to 1.047.
double bytes_over_own(Coder coder) {
  return coder == Coder::kZstd ? 1.025 : coder == Coder::kLzma ? 1.04 : 1.0;
}
// Ours with "auto": no smaller one is to be expected where bytes matter.
Coder expect_coder(const QuantConfig& quant) {
  return quant.coder == CoderChoice::kAuto ? Coder::kOwn : static_cast<Coder>(quant.coder);
}

// Bytes per fp16 number after coding, measured on random models of 1.7M parameters.
constexpr double kScaleBytes = 1.2, kValueBytes = 1.8;
// With quant.fill_cap any model can be made to fit; below these widths it is not worth it: ternary
// weights take 1 to 1.6 bits, and at 2.7 bits record #1493's stack lost 0.05 bits per byte
// (formulas.md 4.4).
constexpr double kLeastFilledBits = 1.0, kSteepFilledBits = 2.5;

// Entropy of Gaussian rows under a uniform quantiser with scale clip / R (formulas.md 4.4): 2.047
// - log2(scale / sigma). Below half a bit the formula leaves its range.
double gaussian_bits_per_weight(int bits, double clip_sigmas) {
  return std::clamp(2.047 - log2_f64(clip_sigmas / max_code(bits)), 0.5, static_cast<double>(bits));
}

// Trained matrices have a standard deviation near this: with the published floors (no clip below 1)
// it gives the 4.59 bits per weight of record 2026-03-22 (27M parameters, int6 GPTQ-lite, zstd-22),
// and the CPU track's own lie between 0.08 and 0.18.
constexpr double kTrainedSigma = 0.170;
// Above the floor the clip follows the rows: Gaussian rows of 512 to 2048 have their 0.9995
// quantile at 3.3 to 3.5 sigma, trained ones have longer tails.
constexpr double kRowClipSigmas = 3.8;
// No published int6 run went below 3.3 bits (the SDClip records, clip 12.85 sigma,
// formulas.md 4.3), and no trained matrix that we met was narrower than this.
constexpr double kLeastClipSigmas = 12.85, kLeastSigma = 0.08;

// The clip in standard deviations that rows of this width get, the smallest scale included.
double forecast_clip_sigmas(const ParamSpec& spec, const QuantConfig& quant, double row_clip,
                            double sigma) {
  if (is_clip_search(quant.scales)) return std::max(row_clip, 1 / sigma);  // no clip lies below 1
  return quant.scales == ScaleRule::kRowMax ? row_clip : clip_sigmas(spec, quant);
}

// The scale of a row: what the method gives it without its search.
float row_scale(std::span<const float> row, double largest, const ParamSpec& spec, int bits,
                const QuantConfig& quant) {
  const double limit = max_code(bits);
  if (is_clip_search(quant.scales)) return static_cast<float>(std::max(largest, 1.0) / limit);
  if (quant.scales == ScaleRule::kRowMax) return static_cast<float>(largest / limit);
  const auto n = static_cast<double>(row.size());
  const auto value = [&](size_t i) { return static_cast<double>(row[i]); };
  const auto sum_of = [&](const auto& term) {
    return sum_loop<double>(static_cast<int64_t>(row.size()),
                            [&](int64_t i) { return term(static_cast<size_t>(i)); });
  };
  if (quant.scales == ScaleRule::kTernary) {
    return static_cast<float>(sum_of([&](size_t i) { return std::fabs(value(i)); }) / n);
  }
  const double sum = sum_of(value);
  const double squares = sum_of([&](size_t i) { return value(i) * value(i); });
  const double variance = std::max(squares - sum * sum / n, 0.0) / std::max(n - 1, 1.0);
  return static_cast<float>(clip_sigmas(spec, quant) * std::sqrt(variance) / limit);
}

// max() that ignores NaN, and a clamp that maps NaN to -limit: a diverging run still gets a number.
uint16_t quantize_row(std::span<const float> row, const ParamSpec& spec, int bits,
                      const QuantConfig& quant, int8_t* codes) {
  float largest = 0;
#pragma omp simd reduction(max : largest)
  for (size_t i = 0; i < row.size(); ++i) {
    const float magnitude = std::fabs(row[i]);
    largest = magnitude > largest ? magnitude : largest;
  }
  const auto limit = static_cast<float>(max_code(quant.scales == ScaleRule::kTernary ? 2 : bits));
  const uint16_t half =
      half_from_float(row_scale(row, static_cast<double>(largest), spec, bits, quant));
  const float scale = float_from_half(half);
  const float inverse = scale > 0 ? 1.0f / scale : 0.0f;
#pragma omp simd
  for (size_t i = 0; i < row.size(); ++i) {
    const float x = row[i] * inverse;
    const float above = x > -limit ? x : -limit;
    codes[i] = static_cast<int8_t>(std::nearbyint(above < limit ? above : limit));
  }
  return half;
}

// Codes and scales as they would be sealed, into the coder.
void price_tensor(const HostTensor& tensor, int bits, const QuantConfig& quant, int role,
                  WeightEncoder& encoder) {
  std::vector<uint16_t> halves;
  if (bits == kHalfBits) {
    for (const float value : tensor.values) halves.push_back(half_from_float(value));
    encoder.halves(halves, HalfKind::kValues, role);
    return;
  }
  const auto cols = static_cast<size_t>(tensor.spec.cols);
  std::vector<int8_t> codes(tensor.values.size());
  for (size_t begin = 0; begin < codes.size(); begin += cols) {
    const auto row = std::span(tensor.values).subspan(begin, cols);
    halves.push_back(quantize_row(row, tensor.spec, bits, quant, codes.data() + begin));
  }
  encoder.halves(halves, HalfKind::kScales, role);
  const int limit = max_code(quant.scales == ScaleRule::kTernary ? 2 : bits);
  encoder.codes({tensor.spec.rows, tensor.spec.cols, limit}, codes, role);
}

}  // namespace

PackForecast forecast_pack(const ModelConfig& config, const QuantConfig& quant,
                           const CodeSizes& code_bytes) {
  const Coder coder = expect_coder(quant);
  const double over_own = bytes_over_own(coder);
  double least = kHeaderBytes, likely = kHeaderBytes;
  for (const ParamSpec& spec : list_params(config)) {
    const auto elements = static_cast<double>(spec.elements());
    const int bits = quant.scales == ScaleRule::kTernary && storage_bits(spec, quant) < kHalfBits
                         ? 2
                         : storage_bits(spec, quant);
    least += 1;
    likely += 1;
    if (bits == kHalfBits) {
      least += elements;
      likely += kValueBytes * elements;
    } else if (quant.fill_cap) {
      least += elements * kLeastFilledBits / 8;
      likely += elements * kSteepFilledBits / 8;
    } else {
      const auto rows = static_cast<double>(spec.rows);
      const double least_clip = forecast_clip_sigmas(spec, quant, kLeastClipSigmas, kLeastSigma);
      const double likely_clip = forecast_clip_sigmas(spec, quant, kRowClipSigmas, kTrainedSigma);
      least += elements * gaussian_bits_per_weight(bits, least_clip) / 8 + rows;
      likely += elements * over_own * kCoderOverEntropy *
                    gaussian_bits_per_weight(bits, likely_clip) / 8 +
                kScaleBytes * rows;
    }
  }
  return {.least_bytes = std::llround(least) + code_bytes.of(coder),
          .likely_bytes = std::llround(likely) + code_bytes.of(coder)};
}

// Serial: it runs beside training, whose threads it must not take.
int64_t project_bytes(const std::vector<HostTensor>& weights, const QuantConfig& quant,
                      const CodeSizes& code_bytes) {
  WeightEncoder encoder;
  std::vector<ParamSpec> specs;
  for (const HostTensor& tensor : weights) specs.push_back(tensor.spec);
  for (const PayloadEntry& entry : order_payload(specs)) {
    const HostTensor& tensor = weights[entry.tensor];
    price_tensor(tensor, storage_bits(tensor.spec, quant), quant, entry.role, encoder);
  }
  const double header_bytes = kHeaderBytes + static_cast<double>(weights.size());
  const Coder coder = expect_coder(quant);
  return std::llround(header_bytes + bytes_over_own(coder) * encoder.ideal_bytes()) +
         code_bytes.of(coder);
}

}  // namespace pg
