// The cap is filled and never passed; the bytes go where they lower the loss most.
#include "quant/method/fill_cap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "src/base/error.h"
#include "src/base/threads.h"
#include "tests/quant/quant_fixtures.h"

namespace pg {
namespace {

double total_loss(const QuantResult& result) {
  double sum = 0;
  for (const TensorAllocation& row : result.allocation) sum += row.loss_nats;
  return sum;
}

int64_t sealed_bytes(const QuantResult& result, int64_t cap_bytes, int64_t code_bytes) {
  return seal(result.model, tiny_filled_quant(cap_bytes), code_bytes).summary.total_bytes;
}

// Bytes that fall by halves, with noise of some bytes, as real coders have it.
TEST(FillCap, LandsUnderTheTargetOnANoisyCurve) {
  for (uint64_t trial = 0; trial < 100; ++trial) {
    const CounterRng rng(trial, kStreamTest);
    const double elements = std::exp(std::log(1e4) + 8 * rng.uniform(0));
    const double start = elements * (0.3 + rng.uniform(1));
    const auto bytes_at = [&](double coarseness) {
      const double bits = std::fmax(0.02, 4 - std::log2(coarseness));
      const auto noise =
          static_cast<double>(rng.below(static_cast<uint64_t>(1e6 * coarseness), 30));
      return static_cast<int64_t>(elements * bits / 8 + noise);
    };
    int64_t last = 0;
    const FillTask task{
        .estimate = [&](double s) { return 0.97 * static_cast<double>(bytes_at(s)); },
        .measure = [&](double s) { return last = bytes_at(s); },
        .limit_bytes = static_cast<int64_t>(start),
        .least_coarseness = 1e-6,
        .elements = elements};
    const double coarseness = fill_cap(task);
    EXPECT_LE(bytes_at(coarseness), task.limit_bytes);
    EXPECT_GE(bytes_at(coarseness), task.limit_bytes - kFillSlackBytes) << elements;
    EXPECT_EQ(last, bytes_at(coarseness));
  }
}

// Error feedback changes many codes at once: the size jumps by some hundred bytes at any change.
TEST(FillCap, LandsUnderTheTargetBesideJumps) {
  constexpr double kElements = 1.8e6;
  for (uint64_t trial = 0; trial < 100; ++trial) {
    const CounterRng rng(trial, kStreamTest + 2);
    const auto bytes_at = [&](double coarseness) {
      const double bits = std::fmax(0.02, 4 - std::log2(coarseness));
      const auto jump = static_cast<double>(rng.below(std::bit_cast<uint64_t>(coarseness), 800));
      return static_cast<int64_t>(kElements * bits / 8 + jump);
    };
    const FillTask task{
        .estimate = [&](double s) { return 0.97 * static_cast<double>(bytes_at(s)); },
        .measure = bytes_at,
        .limit_bytes = 930000,
        .least_coarseness = 1e-6,
        .elements = kElements};
    const int64_t bytes = bytes_at(fill_cap(task));
    EXPECT_LE(bytes, task.limit_bytes);
    EXPECT_GT(bytes, task.limit_bytes - 256) << trial;
  }
}

// Of a small model under a large cap most tensors are as fine as they get: a sixteenth of the weights, or less,
// follows the scales still.
TEST(FillCap, FindsTheCapWhereFewTensorsFollowTheScales) {
  constexpr double kElements = 1.6e6;
  for (const double part : {0.25, 0.0625, 0.01}) {
    for (const double start : {-20000.0, 20000.0}) {  // over the limit at the first guess
      const auto bytes_at = [&](double coarseness) {
        return static_cast<int64_t>(9e5 - part * kElements / 8 * std::log2(coarseness));
      };
      int measured = 0;
      const FillTask task{.estimate = [&](double) { return 9e5 - start; },
                          .measure = [&](double s) { return ++measured, bytes_at(s); },
                          .limit_bytes = static_cast<int64_t>(9e5 - start),
                          .least_coarseness = 1e-9,
                          .elements = kElements};
      const int64_t bytes = bytes_at(fill_cap(task));
      EXPECT_LE(bytes, task.limit_bytes) << part;
      EXPECT_GE(bytes, task.limit_bytes - kFillSlackBytes) << part;
      EXPECT_LE(measured, 32) << part;
    }
  }
}

TEST(FillCap, SaysSoWhenNothingFits) {
  const FillTask task{.estimate = [](double) { return 5000.0; },
                      .measure = [](double) { return int64_t{5000}; },
                      .limit_bytes = 4000,
                      .least_coarseness = 1e-6,
                      .elements = 1e4};
  EXPECT_THROW(fill_cap(task), Error);
}

TEST(FillCap, StopsAtTheFinestScalesWhenAllFits) {
  const QuantResult result = quantize_calibrated(tiny_config(), random_weights(tiny_config(), 1),
                                                 tiny_filled_quant(1 << 20));
  for (const QuantTensor& tensor : result.model.tensors) {
    if (tensor.bits == 16) continue;
    EXPECT_GE(tensor.bits, 7) << tensor.name;  // 8-bit codes, none clipped
  }
  EXPECT_LT(total_loss(result),
            1e-3 * total_loss(quantize_calibrated(tiny_config(), random_weights(tiny_config(), 1),
                                                  tiny_filled_quant(2700))));
}

// Minutes at 27M: whoever waits is told of every tensor, and may end it.
TEST(FillCap, TellsWhatItIsDoing) {
  const ModelConfig config = tiny_config();
  const std::vector<HostTensor> weights = random_weights(config, 1);
  const Calibration calibration = random_calibration(config, 2);
  std::vector<std::string> shown;
  QuantInput input{.config = &config,
                   .weights = &weights,
                   .tokenizer_sha256 = {},
                   .scoring_keys = {},
                   .calibration = &calibration};
  input.progress = [&](const std::string& work) { shown.push_back(work); };
  quantize(input, tiny_filled_quant(2700), 0);
  const auto has = [&](std::string_view text) {
    return std::any_of(shown.begin(), shown.end(),
                       [&](const std::string& work) { return work.starts_with(text); });
  };
  EXPECT_TRUE(has("quantise: factors, ") && has("quantise: try 1, ") && has("quantise: try 2, "));
  EXPECT_TRUE(has("quantise: bytes against loss, "));
  struct Stop {};
  input.progress = [](const std::string&) { throw Stop{}; };
  EXPECT_THROW(quantize(input, tiny_filled_quant(2700), 0), Stop);
}

ModelConfig random_model(const CounterRng& rng) {
  ModelConfig c = tiny_config();
  c.layers = 1 + static_cast<int64_t>(rng.below(0, 3));
  c.dim = 16 << rng.below(1, 2);
  c.mlp_hidden = 16 * (1 + static_cast<int64_t>(rng.below(2, 6)));
  c.vocab_size = 32 << rng.below(3, 3);
  c.value_embed_layers = 0;
  c.value_embed_dim = 0;
  return c;
}

// The law of the format: 200 random models, any cap, any code size.
TEST(FillCap, TwoHundredRandomModelsLandJustUnderTheirCaps) {
  int filled = 0;
  for (uint64_t trial = 0; trial < 200; ++trial) {
    const CounterRng rng(trial, kStreamTest + 1);
    const ModelConfig config = random_model(rng);
    const std::vector<HostTensor> weights = random_weights(config, trial, trial % 2 == 0 ? 0.8 : 0);
    const auto params = static_cast<double>(count_params(config));
    const auto code_bytes = static_cast<int64_t>(rng.below(4, 5000));
    // Vectors alone take most of a tiny model; 4 to 7 bits a weight leave room for codes.
    const auto cap_bytes =
        static_cast<int64_t>(300 + params * (4 + 3 * rng.uniform(5)) / 8) + code_bytes;
    QuantConfig quant = tiny_filled_quant(cap_bytes);
    if (trial % 4 == 3) quant.rounding = Rounding::kNearest;
    const QuantResult result = quantize_calibrated(config, weights, quant, code_bytes);
    const int64_t total = sealed_bytes(result, cap_bytes, code_bytes);  // throws over the cap
    ASSERT_LE(total, cap_bytes);
    filled += cap_bytes - total < 256;
  }
  EXPECT_EQ(filled, 200);
}

TEST(Allocation, EqualisesWhatAByteIsWorth) {
  const std::vector<HostTensor> weights = random_weights(tiny_config(), 4);
  const QuantResult result = quantize_calibrated(tiny_config(), weights, tiny_filled_quant(2900));
  // Each matrix a bit coarser or finer: no move of bytes between matrices lowers the sum by much,
  // so the filled model beats one whose scales follow the rows alone.
  QuantConfig by_rows = tiny_filled_quant(2900);
  by_rows.scales = ScaleRule::kSdClip;
  const double uniform = total_loss(quantize_calibrated(tiny_config(), weights, by_rows));
  EXPECT_LT(total_loss(result), 0.75 * uniform);
}

TEST(Allocation, ImportantRowsAndColumnsGetFinerScales) {
  const ModelConfig config = tiny_config();
  const QuantResult result =
      quantize_calibrated(config, random_weights(config, 4), tiny_filled_quant(2900));
  const Calibration calibration = random_calibration(config, 7);
  for (const QuantTensor& tensor : result.model.tensors) {
    if (!tensor.is_factored || tensor.name.find(".mlp.") != std::string::npos) continue;
    const std::vector<float>& weight = calibration.find(tensor.name)->terms[0].row_weight;
    const auto most = std::max_element(weight.begin(), weight.end()) - weight.begin();
    const auto least = std::min_element(weight.begin(), weight.end()) - weight.begin();
    EXPECT_LT(tensor.row_offsets[static_cast<size_t>(most)],
              tensor.row_offsets[static_cast<size_t>(least)])
        << tensor.name;
  }
}

TEST(Allocation, SameBytesForAnyThreadCount) {
  const std::vector<HostTensor> weights = random_weights(tiny_config(), 5);
  const auto pack = [&] {
    return seal(quantize_calibrated(tiny_config(), weights, tiny_filled_quant(2900)).model,
                tiny_filled_quant(2900), 0)
        .bytes;
  };
  const int threads = thread_count();
  const Bytes many = pack();
  set_thread_count(1);
  const Bytes one = pack();
  set_thread_count(threads);
  EXPECT_EQ(many, one);
}

// Every key of [quant] does something.
TEST(Allocation, EachSettingChangesTheModel) {
  const std::vector<HostTensor> weights = random_weights(tiny_config(), 5);
  const auto pack = [&](auto change) {
    QuantConfig quant = tiny_filled_quant(2900);
    change(quant);
    return seal(quantize_calibrated(tiny_config(), weights, quant).model,
                tiny_filled_quant(1 << 20), 0)
        .bytes;
  };
  const Bytes base = pack([](QuantConfig&) {});
  EXPECT_NE(pack([](QuantConfig& q) { q.rounding = Rounding::kNearest; }), base);
  EXPECT_NE(pack([](QuantConfig& q) { q.fill_cap = false; }), base);
  EXPECT_NE(pack([](QuantConfig& q) { q.damping = 0.1; }), base);
  EXPECT_NE(pack([](QuantConfig& q) { q.sort_hidden = false; }), base);
  EXPECT_NE(pack([](QuantConfig& q) { q.lqer_rank = 2; }), base);
  const auto rows = [&](auto change) {
    return pack([&](QuantConfig& q) {
      q.scales = ScaleRule::kSdClipHessian;
      q.fill_cap = false;
      change(q);
    });
  };
  const Bytes sdclip = rows([](QuantConfig&) {});
  EXPECT_NE(rows([](QuantConfig& q) { q.scales = ScaleRule::kSdClip; }), sdclip);
  EXPECT_NE(rows([](QuantConfig& q) { q.scales = ScaleRule::kRowMax; }), sdclip);
  const auto row_max = [&](double matrices, double embeddings) {
    return rows([=](QuantConfig& q) {
      q.scales = ScaleRule::kRowMax;
      q.row_max_quantile = matrices;
      q.embed_row_max_quantile = embeddings;
    });
  };
  EXPECT_NE(row_max(0.9, 1), row_max(1, 1));
  EXPECT_NE(row_max(1, 0.9), row_max(1, 1));
  EXPECT_NE(rows([](QuantConfig& q) { q.scales = ScaleRule::kTernary; }), sdclip);
  EXPECT_NE(rows([](QuantConfig& q) { q.hessian_lambda = 0.5; }), sdclip);
  EXPECT_NE(rows([](QuantConfig& q) { q.matrix_clip_sigmas = 6; }), sdclip);
  EXPECT_NE(rows([](QuantConfig& q) { q.mlp_clip_sigmas = 6; }), sdclip);
  EXPECT_NE(rows([](QuantConfig& q) { q.embed_clip_sigmas = 6; }), sdclip);
  EXPECT_NE(rows([](QuantConfig& q) { q.awq_group = true; }), sdclip);
}

TEST(Allocation, WithoutCalibrationTheErrorNamesTheWayOut) {
  try {
    quantize_plain(tiny_config(), random_weights(tiny_config(), 1), tiny_filled_quant(3000));
    FAIL() << "scales without sensitivity";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("quant.scales"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace pg
