// What PG_SHARED_DATA/parity_vectors holds: token losses and gradients as the public PyTorch script
// computes them, on weights with every feature on (a README beside them says how they were made).
// The folder is no part of the repository: without it these tests are skipped.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "harness/exchange/safetensors.h"
#include "harness/exchange/weights_file.h"
#include "src/base/bytes.h"
#include "src/data/token_file.h"
#include "src/device/registry/make_device.h"
#include "src/model/model.h"
#include "src/plan/plan.h"
#include "tests/model/rounding_bound.h"

namespace pg {
namespace {

// The script casts a few of its f64 steps to f32: so far its numbers are good, says the README.
constexpr double kScriptLossError_nats = 2e-5;
constexpr double kScriptGradientError = 1e-5;  // relative, of a tensor
// The script's gradient is of the mean loss over these windows of kShortTokens.
constexpr int64_t kGradientWindows = 4;
constexpr int64_t kShortTokens = 256, kLongTokens = 2048;

struct DeviceUnderTest {
  const char* name;
  int64_t short_windows, long_windows;  // of 16 and 2: double loops take seconds a window
};

void PrintTo(const DeviceUnderTest& device, std::ostream* out) { *out << device.name; }

std::filesystem::path vectors_folder() {
  const char* const given = std::getenv("PG_SHARED_DATA");
  return std::filesystem::path(given != nullptr ? given : PG_SHARED_DATA) / "parity_vectors";
}

std::vector<double> read_doubles(const std::filesystem::path& path) {
  const Bytes bytes = read_file(path);
  std::vector<double> values(bytes.size() / sizeof(double));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

class Parity : public testing::TestWithParam<DeviceUnderTest> {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(folder_)) {
      GTEST_SKIP() << "no folder \"" << folder_.string()
                   << "\"; name the one above it in PG_SHARED_DATA";
    }
    auto file = read_weights_file(folder_ / "weights.safetensors");
    ASSERT_TRUE(file.ok()) << file.error();
    file_ = std::move(file.value());
    stream_.emplace(TokenStream::open((folder_ / "tokens.bin").string(), file_.config.vocab_size));
  }

  // Loads the first windows of the text and runs; gives their token losses.
  std::vector<float> run(ModelPlan& plan) {
    const auto count = static_cast<size_t>(plan.batch() * plan.seq_len());
    std::vector<int32_t> ids(count), targets(count);
    stream_->read(0, ids);
    stream_->read(1, targets);
    plan.load(ids, targets);
    plan.run();
    std::vector<float> losses(count);
    plan.read_token_losses(losses);
    return losses;
  }

  // What rounding does to a number of this device, relative.
  double own_error(ModelPlan& plan) const {
    const bool sums_in_f32 = device_->compute_dtype() != DType::kF64;
    return rounding_bound(device_->compute_dtype(),
                          plan.plan().call_count() + static_cast<int64_t>(file_.tensors.size()),
                          sums_in_f32 ? std::max(file_.config.vocab_size, plan.seq_len()) : 0);
  }
  // A logit is w . h with h of unit root mean square after its norm, so relative errors of h's
  // elements move it by as much times |w|; a loss is the difference of two means of logits.
  double own_loss_error_nats(ModelPlan& plan) const {
    double largest = 0;
    const HostTensor& table = file_.tensors[0];
    for (int64_t v = 0; v < table.spec.rows; ++v) {
      double squares = 0;
      for (int64_t d = 0; d < table.spec.cols; ++d) {
        squares += std::pow(
            static_cast<double>(table.values[static_cast<size_t>(v * table.spec.cols + d)]), 2);
      }
      largest = std::max(largest, squares);
    }
    return 2 * own_error(plan) * std::sqrt(largest);
  }

  void expect_losses(int64_t windows, int64_t tokens, const char* file) {
    Weights weights(*device_, list_params(file_.config), /*with_gradients=*/false);
    weights.upload(file_.tensors);
    ModelConfig config = file_.config;
    config.rope_context = tokens;  // the scripts' base follows the text's length
    ModelPlan plan(config, weights, windows, tokens, PlanMode::kScore);
    const std::vector<float> got = run(plan);
    const std::vector<double> want = read_doubles(folder_ / file);
    ASSERT_GE(want.size(), got.size());
    const double bound = kScriptLossError_nats + own_loss_error_nats(plan);
    double got_sum = 0, want_sum = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      ASSERT_NEAR(static_cast<double>(got[i]), want[i], bound) << "token " << i;
      got_sum += static_cast<double>(got[i]);
      want_sum += want[i];
    }
    if (device_->compute_dtype() == DType::kBF16) return;
    // Over thousands of tokens what f32 does to each of them cancels.
    const auto tokens_read = static_cast<double>(got.size());
    EXPECT_NEAR(got_sum / tokens_read, want_sum / tokens_read, kScriptLossError_nats);
  }

  const std::filesystem::path folder_ = vectors_folder();
  const std::unique_ptr<Device> device_ = make_device(GetParam().name);
  WeightsFile file_;
  std::optional<TokenStream> stream_;
};

INSTANTIATE_TEST_SUITE_P(Devices, Parity,
                         testing::Values(DeviceUnderTest{"cpu:exact", 16, 2},
                                         DeviceUnderTest{"cpu:bf16", 16, 2},
                                         DeviceUnderTest{"reference", 4, 1},
                                         DeviceUnderTest{"reference:f64", 4, 1},
                                         DeviceUnderTest{"simt", 4, 1}),
                         [](const auto& info) {
                           std::string name = info.param.name;
                           for (char& c : name) c = c == ':' ? '_' : c;
                           return name;
                         });

TEST_P(Parity, TokenLossesAreTheScripts) {
  expect_losses(GetParam().short_windows, kShortTokens, "nll_T256.f64");
}

// Beyond rope_ntk_length: the base of RoPE grows.
TEST_P(Parity, TokenLossesOfALongContextAreTheScripts) {
  expect_losses(GetParam().long_windows, kLongTokens, "nll_T2048.f64");
}

TEST_P(Parity, GradientsOfEveryParameterAreTheScripts) {
  const auto want =
      parse_safetensors(read_file(folder_ / "gradients.safetensors"), list_params(file_.config));
  ASSERT_TRUE(want.ok()) << want.error();
  Weights weights(*device_, list_params(file_.config), /*with_gradients=*/true);
  weights.upload(file_.tensors);
  ModelPlan plan(file_.config, weights, kGradientWindows, kShortTokens, PlanMode::kTrain);
  run(plan);
  weights.finish_gradients();
  const bool is_bf16 = device_->compute_dtype() == DType::kBF16;
  for (size_t i = 0; i < want.value().size(); ++i) {
    const HostTensor& tensor = want.value()[i];
    // In the norm of a tensor what f32 does to its elements averages out; a scalar's gradient is one
    // sum over all rows and channels, most of which cancels.
    const bool averages_out = !is_bf16 && tensor.values.size() > 1;
    const double bound = kScriptGradientError + (averages_out ? 0.0 : own_error(plan));
    const float* const got = weights.gradient(static_cast<int>(i));
    double error = 0, norm = 0;
    for (size_t k = 0; k < tensor.values.size(); ++k) {
      error += std::pow(static_cast<double>(got[k]) - static_cast<double>(tensor.values[k]), 2);
      norm += std::pow(static_cast<double>(tensor.values[k]), 2);
    }
    EXPECT_LE(std::sqrt(error), bound * std::sqrt(norm)) << tensor.spec.name;
  }
}

}  // namespace
}  // namespace pg
