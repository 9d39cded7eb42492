// What an artifact will weigh, without making one: from shapes before training, from weights during
// it.
//
// project_bytes() counts codes under a row-maximum clip instead of searching for the clip, and
// takes their order-0 entropy: two passes over the weights. tests/quant/pack_estimate_test.cpp
// holds it to 3 % of the real thing.
#include <algorithm>
#include <array>
#include <cmath>

#include "quant/artifact.h"
#include "quant/half.h"
#include "quant/storage_bits.h"
#include "src/base/threads.h"
#include "src/model/model.h"

namespace pg {
namespace {

constexpr double kHeaderBytes =
    44 + 130 + 2 + 4 + 32;  // artifact_format.h; plus one byte per tensor
// Measured on random models of 1.7M parameters, Gaussian and heavy-tailed: zstd takes 1.1 to 1.4 %
// more than order-0 entropy, and the search's codes have 0.3 to 0.45 % more entropy than those of
// the row maximum.
constexpr double kCoderOverEntropy = 1.012;
constexpr double kSearchOverRowMax = 1.004;
// Bytes per fp16 number after shuffling and compression, measured there too.
constexpr double kScaleBytes = 1.4, kValueBytes = 1.8;

// Entropy of Gaussian rows under a uniform quantiser with step clip / R (quant_eval.md 1.4): 2.047
// - log2(step / sigma). Below half a bit the formula leaves its range.
double gaussian_bits_per_weight(int bits, double clip_sigmas) {
  return std::clamp(2.047 - std::log2(clip_sigmas / max_code(bits)), 0.5,
                    static_cast<double>(bits));
}

// Trained matrices have a standard deviation near this: with the published floor of 1/31 it gives
// the 4.59 bits per weight of record 2026-03-22 (27M parameters, int6 GPTQ-lite, zstd-22), and the
// CPU track's own lie between 0.08 and 0.18.
constexpr double kTrainedSigma = 0.178, kTrainedEmbeddingSigma = 0.45;
// Above the floor the clip follows the rows: Gaussian rows of 512 to 2048 have their 0.9995
// quantile at 3.3 to 3.5 sigma, trained ones have longer tails.
constexpr double kRowClipSigmas = 3.8;
// No published int6 run went below 3.3 bits (the SDClip records, clip 12.85 sigma,
// quant_eval.md 1.3), and no trained matrix that we met was narrower than this.
constexpr double kLeastClipSigmas = 12.85, kLeastSigma = 0.08;

// The clip in standard deviations that rows of this width get, the smallest step included.
double clip_sigmas(double row_clip_sigmas, double sigma, int bits, double scale_floor) {
  return std::max(row_clip_sigmas, scale_floor * max_code(bits) / sigma);
}

using Histogram = std::array<int64_t, 256>;

double entropy_bytes(const Histogram& counts) {
  int64_t total = 0;
  double sum = 0;
  for (const int64_t count : counts) {
    total += count;
    if (count > 0) sum += static_cast<double>(count) * std::log2(static_cast<double>(count));
  }
  if (total == 0) return 0;
  return (static_cast<double>(total) * std::log2(static_cast<double>(total)) - sum) / 8;
}

// max() that ignores NaN, and a clamp that maps NaN to -limit: a diverging run still gets a number.
void quantize_row_by_max(std::span<const float> row, int bits, double scale_floor, int8_t* codes) {
  float largest = 0;
#pragma omp simd reduction(max : largest)
  for (size_t i = 0; i < row.size(); ++i) {
    const float magnitude = std::fabs(row[i]);
    largest = magnitude > largest ? magnitude : largest;
  }
  const auto limit = static_cast<float>(max_code(bits));
  const float scale =
      float_from_half(half_from_float(std::max(largest / limit, static_cast<float>(scale_floor))));
  const float inverse = scale > 0 ? 1.0f / scale : 0.0f;
#pragma omp simd
  for (size_t i = 0; i < row.size(); ++i) {
    const float x = row[i] * inverse;
    const float above = x > -limit ? x : -limit;
    codes[i] = static_cast<int8_t>(std::nearbyint(above < limit ? above : limit));
  }
}

// Four histograms, because equal neighbours would wait for each other's store.
void count_codes(std::span<const int8_t> codes, Histogram& counts) {
  std::array<std::array<uint32_t, 256>, 4> lanes = {};
  size_t i = 0;
  for (; i + 4 <= codes.size(); i += 4) {
    for (size_t lane = 0; lane < 4; ++lane) {
      ++lanes[lane][static_cast<uint8_t>(codes[i + lane])];
    }
  }
  for (; i < codes.size(); ++i) ++lanes[0][static_cast<uint8_t>(codes[i])];
  for (size_t v = 0; v < counts.size(); ++v) {
    counts[v] += int64_t{lanes[0][v]} + lanes[1][v] + lanes[2][v] + lanes[3][v];
  }
}

// Some rows of one tensor.
struct RowRange {
  const HostTensor* tensor = nullptr;
  int bits = 0;
  int64_t begin = 0, end = 0;
};

void add_ranges(const HostTensor& tensor, int bits, std::vector<RowRange>& ranges) {
  constexpr int64_t kElementsPerRange = 1 << 16;
  const int64_t grain = std::max<int64_t>(1, kElementsPerRange / tensor.spec.cols);
  for (int64_t begin = 0; begin < tensor.spec.rows; begin += grain) {
    ranges.push_back({&tensor, bits, begin, std::min(begin + grain, tensor.spec.rows)});
  }
}

Histogram count_range(const RowRange& range, double scale_floor) {
  const int64_t cols = range.tensor->spec.cols;
  std::vector<int8_t> codes(static_cast<size_t>((range.end - range.begin) * cols));
  for (int64_t r = range.begin; r < range.end; ++r) {
    const std::span row(range.tensor->values.data() + r * cols, static_cast<size_t>(cols));
    quantize_row_by_max(row, range.bits, scale_floor, codes.data() + (r - range.begin) * cols);
  }
  Histogram counts = {};
  count_codes(codes, counts);
  return counts;
}

}  // namespace

PackForecast forecast_pack(const ModelConfig& config, const QuantConfig& quant,
                           int64_t code_bytes) {
  double least = kHeaderBytes, likely = kHeaderBytes;
  for (const ParamSpec& spec : list_params(config)) {
    const auto elements = static_cast<double>(spec.elements());
    const int bits = storage_bits(spec, quant);
    least += 1;
    likely += 1;
    if (bits == kHalfBits) {
      least += elements;
      likely += kValueBytes * elements;
    } else {
      const auto rows = static_cast<double>(spec.rows);
      const double least_clip = clip_sigmas(kLeastClipSigmas, kLeastSigma, bits, quant.scale_floor);
      const double likely_clip =
          clip_sigmas(kRowClipSigmas, kTrainedSigma, bits, quant.scale_floor);
      least += elements * gaussian_bits_per_weight(bits, least_clip) / 8 + rows;
      likely += elements * kCoderOverEntropy * gaussian_bits_per_weight(bits, likely_clip) / 8 +
                kScaleBytes * rows;
    }
  }
  return {.least_bytes = std::llround(least) + code_bytes,
          .likely_bytes = std::llround(likely) + code_bytes};
}

// All tensors in one parallel loop: a loop per tensor would wait for its slowest thread fifty
// times.
int64_t project_bytes(const std::vector<HostTensor>& weights, const QuantConfig& quant,
                      int64_t code_bytes) {
  double bytes = kHeaderBytes;
  std::vector<RowRange> ranges;
  for (const HostTensor& tensor : weights) {
    const int bits = storage_bits(tensor.spec, quant);
    bytes += 1;
    if (bits == kHalfBits) {
      bytes += kValueBytes * static_cast<double>(tensor.spec.elements());
    } else {
      bytes += kScaleBytes * static_cast<double>(tensor.spec.rows);
      add_ranges(tensor, bits, ranges);
    }
  }
  std::vector<Histogram> counts(ranges.size());
  parallel_chunks(static_cast<int64_t>(ranges.size()), [&](int64_t i) {
    const auto at = static_cast<size_t>(i);
    counts[at] = count_range(ranges[at], quant.scale_floor);
  });
  for (size_t begin = 0, end; begin < ranges.size(); begin = end) {
    Histogram tensor = {};
    for (end = begin; end < ranges.size() && ranges[end].tensor == ranges[begin].tensor; ++end) {
      for (size_t v = 0; v < tensor.size(); ++v) tensor[v] += counts[end][v];
    }
    bytes += entropy_bytes(tensor) * kCoderOverEntropy * kSearchOverRowMax;
  }
  return std::llround(bytes) + code_bytes;
}

}  // namespace pg
