// The op test can fail: for each kind of mistake a device that makes it, and the fault that the
// runner must find. Without these a runner that compares nothing would pass every device.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "src/base/threads.h"
#include "src/device/host_device.h"
#include "src/device/reference/reference_ops.h"
#include "src/device/reference/reference_values.h"
#include "tests/ops/op_runner.h"
#include "tests/ops/tolerance.h"

namespace pg::optest {
namespace {

template <class BrokenOps>
class BrokenDevice final : public HostDevice {
 public:
  explicit BrokenDevice(DType storage) : HostDevice("broken", storage) {}
  Ops& ops() override { return ops_; }
  DevicePeak measure_peak() override { return {}; }
  double measure_matmul() override { return 0.0; }

 private:
  BrokenOps ops_;
};

enum class Check { kValues, kRepeats };

template <class BrokenOps>
Faults faults_of(OpId op, Check check = Check::kValues, DType storage = DType::kBF16) {
  BrokenDevice<BrokenOps> device(storage);
  Faults faults;
  for (const OpCase& op_case : all_cases()) {
    if (op_case.op != op) continue;
    const Faults found =
        check == Check::kValues ? check_values(device, op_case) : check_repeats(device, op_case);
    faults.insert(faults.end(), found.begin(), found.end());
  }
  return faults;
}

bool mentions(const Faults& faults, const std::string& text) {
  return std::any_of(faults.begin(), faults.end(),
                     [&](const std::string& f) { return f.find(text) != std::string::npos; });
}

struct DropsLastTerm : ReferenceOps {
  void linear(Out y, In x, In w, In addend, int64_t rows, int64_t in, int64_t out) override {
    // The strides stay; the last product of every sum is left out.
    std::vector<double> xs(static_cast<size_t>(rows * in)), ws(static_cast<size_t>(out * in));
    cast(out_of(xs), x, rows * in);
    cast(out_of(ws), w, out * in);
    for (int64_t r = 0; r < rows; ++r) xs[static_cast<size_t>(r * in + in - 1)] = 0.0;
    ReferenceOps::linear(y, in_of(xs), in_of(ws), addend, rows, in, out);
  }
};

struct RoundsTwice : ReferenceOps {
  void linear(Out y, In x, In w, In addend, int64_t rows, int64_t in, int64_t out) override {
    if (addend || y.stride != 0) return ReferenceOps::linear(y, x, w, addend, rows, in, out);
    std::vector<bf16> rounded(static_cast<size_t>(rows * out));
    ReferenceOps::linear(Out{rounded.data(), DType::kBF16, false}, x, w, addend, rows, in, out);
    cast(y, In{rounded.data(), DType::kBF16}, rows * out);
  }
};

// The addend and the product are each rounded to the type of y.
struct RoundsTheProductFirst : ReferenceOps {
  void linear(Out y, In x, In w, In addend, int64_t rows, int64_t in, int64_t out) override {
    if (addend && y.stride == 0) {
      cast(y, addend, rows * out);
      y.accumulate = true;
      std::vector<double> product(static_cast<size_t>(rows * out));
      ReferenceOps::linear(out_of(product), x, w, {}, rows, in, out);
      return cast(y, in_of(reference::rounded_to(y.dtype, product)), rows * out);
    }
    ReferenceOps::linear(y, x, w, addend, rows, in, out);
  }
};

// Rows of a view taken for dense ones.
struct IgnoresTheStrideOfAnInput : ReferenceOps {
  void xsa(Out y, In x, In v, const AttentionShape& shape) override {
    ReferenceOps::xsa(y, x, In{v.data, v.dtype}, shape);
  }
};

struct IgnoresTheStrideOfAnOutput : ReferenceOps {
  void xsa_backward(Out dx, Out dv, In dy, In x, In v, const AttentionShape& shape) override {
    dv.stride = 0;
    ReferenceOps::xsa_backward(dx, dv, dy, x, v, shape);
  }
};

struct WritesIntoTheGap : ReferenceOps {
  void xsa_backward(Out dx, Out dv, In dy, In x, In v, const AttentionShape& shape) override {
    ReferenceOps::xsa_backward(dx, dv, dy, x, v, shape);
    if (!dv || dv.stride == 0) return;
    dv.data = dv.as<bf16>() + shape.kv_heads * shape.head_dim;
    cast({dv.data, DType::kBF16}, In{v.data, v.dtype}, 1);
  }
};

struct ScalesOnePercentMore : ReferenceOps {
  void attention(Out y, Out lse, In q, In k, In v, const AttentionShape& shape) override {
    AttentionShape off = shape;
    off.scale *= 1.01f;
    ReferenceOps::attention(y, lse, q, k, v, off);
  }
};

struct IgnoresTheBatch : ReferenceOps {
  // Later rows attend to earlier ones, as if all were one sequence.
  void attention(Out y, Out lse, In q, In k, In v, const AttentionShape& shape) override {
    AttentionShape joined = shape;
    joined.tokens = shape.rows();
    joined.batch = 1;
    ReferenceOps::attention(y, lse, q, k, v, joined);
  }
};

struct ConfusesHeads : ReferenceOps {
  void attention(Out y, Out lse, In q, In k, In v, const AttentionShape& shape) override {
    // Query head h reads kv head h mod K: right for ratio 1 and for one kv head only.
    if (shape.heads == shape.kv_heads || shape.kv_heads == 1) {
      return ReferenceOps::attention(y, lse, q, k, v, shape);
    }
    const int64_t size = shape.head_dim, q_row = shape.heads * size, kv_row = shape.kv_heads * size;
    Values qs(static_cast<size_t>(shape.rows() * q_row)),
        ks(static_cast<size_t>(shape.rows() * kv_row));
    const Values vs = reference::read_rows(v, shape.rows(), kv_row);
    Values wide_k(qs.size()), wide_v(qs.size());
    cast(out_of(qs), q, shape.rows() * q_row);
    cast(out_of(ks), k, shape.rows() * kv_row);
    for (int64_t i = 0; i < shape.rows() * q_row; ++i) {
      const int64_t head = i % q_row / size % shape.kv_heads;
      const size_t from = static_cast<size_t>(i / q_row * kv_row + head * size + i % size);
      wide_k[static_cast<size_t>(i)] = ks[from];
      wide_v[static_cast<size_t>(i)] = vs[from];
    }
    AttentionShape widened = shape;
    widened.kv_heads = shape.heads;
    ReferenceOps::attention(y, lse, in_of(qs), in_of(wide_k), in_of(wide_v), widened);
  }
};

struct WritesPastTheEnd : ReferenceOps {
  void rmsnorm(Out y, Out rstd, In x, float scale, float eps, int64_t rows, int64_t dim) override {
    ReferenceOps::rmsnorm(y, rstd, x, scale, eps, rows, dim);
    if (y)
      static_cast<uint8_t*>(y.data)[rows * dim * static_cast<int64_t>(dtype_bytes(y.dtype))] = 7;
  }
};

struct WritesBeforeTheStart : ReferenceOps {
  void rmsnorm(Out y, Out rstd, In x, float scale, float eps, int64_t rows, int64_t dim) override {
    ReferenceOps::rmsnorm(y, rstd, x, scale, eps, rows, dim);
    if (rstd) static_cast<uint8_t*>(rstd.data)[-1] = 7;
  }
};

struct ChangesAnInput : ReferenceOps {
  void smear(Out y, In x, In gate, int64_t rows, int64_t tokens, int64_t dim,
             int64_t first) override {
    ReferenceOps::smear(y, x, gate, rows, tokens, dim, first);
    static_cast<uint8_t*>(const_cast<void*>(x.data))[0] ^= 1;
  }
};

struct IgnoresAccumulate : ReferenceOps {
  void mix(Out y, In x, In a, In z, In b, int64_t rows, int64_t dim) override {
    y.accumulate = false;
    ReferenceOps::mix(y, x, a, z, b, rows, dim);
  }
};

struct AlwaysAccumulates : ReferenceOps {
  void mix(Out y, In x, In a, In z, In b, int64_t rows, int64_t dim) override {
    y.accumulate = true;
    ReferenceOps::mix(y, x, a, z, b, rows, dim);
  }
};

struct LeavesATail : ReferenceOps {
  void leaky_relu2(Out y, In x, float slope, int64_t count) override {
    ReferenceOps::leaky_relu2(y, x, slope, count / 32 * 32);
  }
};

struct CountsSkippedTargets : ReferenceOps {
  void softcap_xent(Out loss, Out lse, In logits, In targets, In weights, const Softcap& cap,
                    int64_t rows, int64_t vocab, int64_t n) override {
    std::vector<int32_t> all(static_cast<size_t>(rows * n));
    std::memcpy(all.data(), targets.data, all.size() * sizeof(int32_t));
    for (int32_t& target : all) target = std::max(target, 0);
    ReferenceOps::softcap_xent(loss, lse, logits, In{all.data(), DType::kI32}, weights, cap, rows,
                               vocab, n);
  }
};

struct ForgetsTheCap : ReferenceOps {
  void softcap_log_probs(Out log_probs, Out entropy, In logits, const Softcap& /*cap*/,
                         int64_t rows, int64_t vocab) override {
    ReferenceOps::softcap_log_probs(log_probs, entropy, logits, 1e6f, rows, vocab);
  }
};

struct NormalisesFullLanesAlone : ReferenceOps {
  void softcap_log_probs(Out log_probs, Out entropy, In logits, const Softcap& cap, int64_t rows,
                         int64_t vocab) override {
    Values z = reference::read(logits, rows * vocab);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t i = vocab / 16 * 16; i < vocab && vocab > 16; ++i) {
        z[static_cast<size_t>(r * vocab + i)] = -1e9;
      }
    }
    ReferenceOps::softcap_log_probs({}, entropy, in_of(z), cap, rows, vocab);
    ReferenceOps::softcap_log_probs(log_probs, {}, logits, cap, rows, vocab);
  }
};

struct PassesThroughBf16 : ReferenceOps {
  void softcap_log_probs(Out log_probs, Out entropy, In logits, const Softcap& cap, int64_t rows,
                         int64_t vocab) override {
    ReferenceOps::softcap_log_probs(log_probs, entropy, logits, cap, rows, vocab);
    if (!log_probs || log_probs.accumulate) return;
    for (int64_t i = 0; i < rows * vocab; ++i) {
      float& value = log_probs.as<float>()[i];
      value = static_cast<float>(bf16(value));
    }
  }
};

struct TruncatesInsteadOfRounding : ReferenceOps {
  void cast(Out y, In x, int64_t count) override {
    ReferenceOps::cast(y, x, count);
    if (y.dtype != DType::kBF16 || x.dtype != DType::kF32 || y.accumulate) return;
    for (int64_t i = 0; i < count; ++i) {
      uint32_t bits;
      std::memcpy(&bits, x.as<float>() + i, sizeof bits);
      y.as<bf16>()[i].bits = static_cast<uint16_t>(bits >> 16);
    }
  }
};

struct SumsInFloat : ReferenceOps {
  void sum(Out sum, In x, double scale, int64_t count) override {
    float total = 0.0f;
    for (int64_t i = 0; i < count; ++i) total += x.as<float>()[i];
    *sum.as<double>() =
        (sum.accumulate ? *sum.as<double>() : 0.0) + scale * static_cast<double>(total);
  }
};

struct SkipsAStep : ReferenceOps {
  void newton_schulz(Out u, std::span<const NewtonSchulzCoefficients> steps,
                     NewtonSchulzStart start, const MatrixBatch& shape) override {
    ReferenceOps::newton_schulz(u, steps.empty() ? steps : steps.subspan(1), start, shape);
  }
};

struct DependsOnThreads : ReferenceOps {
  void lerp(Out average, In x, In decay, int64_t count) override {
    ReferenceOps::lerp(average, x, decay, count);
    if (thread_count() == 3) static_cast<uint8_t*>(average.data)[0] ^= 1;
  }
};

struct DependsOnHistory : ReferenceOps {
  void lerp(Out average, In x, In decay, int64_t count) override {
    ReferenceOps::lerp(average, x, decay, count);
    if (++calls % 2 == 0) static_cast<uint8_t*>(average.data)[0] ^= 1;
  }
  int calls = 0;
};

struct ForgetsTheMean : ReferenceOps {
  void rmsnorm_backward(Out dx, In dy, In x, In rstd, float scale, int64_t rows,
                        int64_t dim) override {
    // scale r dy, as if r did not depend on x: a mean of zero comes from x = 0
    const Values zero(static_cast<size_t>(rows * dim), 0.0);
    (void)x;
    ReferenceOps::rmsnorm_backward(dx, dy, in_of(zero), rstd, scale, rows, dim);
  }
};

TEST(OpRunner, FindsNothingInACorrectDevice) {
  EXPECT_TRUE(faults_of<ReferenceOps>(OpId::kLinear).empty());
  EXPECT_TRUE(faults_of<ReferenceOps>(OpId::kLerp, Check::kRepeats).empty());
}

TEST(OpRunner, FindsWrongValues) {
  EXPECT_TRUE(mentions(faults_of<DropsLastTerm>(OpId::kLinear), "y["));
  EXPECT_TRUE(mentions(faults_of<ScalesOnePercentMore>(OpId::kAttention), "lse["));
  EXPECT_TRUE(mentions(faults_of<IgnoresTheBatch>(OpId::kAttention), "y["));
  EXPECT_TRUE(mentions(faults_of<ConfusesHeads>(OpId::kAttention), "y["));
  EXPECT_TRUE(mentions(faults_of<CountsSkippedTargets>(OpId::kSoftcapXent), "loss["));
  EXPECT_TRUE(mentions(faults_of<ForgetsTheCap>(OpId::kSoftcapLogProbs), "log_probs["));
  EXPECT_TRUE(mentions(faults_of<NormalisesFullLanesAlone>(OpId::kSoftcapLogProbs), "entropy["));
  EXPECT_TRUE(mentions(faults_of<SkipsAStep>(OpId::kNewtonSchulz), "2-norm of the error of u"));
}

TEST(OpRunner, FindsLostPrecision) {
  // An f32 result that passed through bf16, and a bf16 one that was cut off.
  EXPECT_TRUE(mentions(faults_of<RoundsTwice>(OpId::kLinear), "f32 result"));
  EXPECT_TRUE(mentions(faults_of<RoundsTheProductFirst>(OpId::kLinear), "addend"));
  EXPECT_TRUE(mentions(faults_of<TruncatesInsteadOfRounding>(OpId::kCast), "from f32"));
  EXPECT_TRUE(mentions(faults_of<SumsInFloat>(OpId::kSum), "sum["));
  EXPECT_TRUE(mentions(faults_of<PassesThroughBf16>(OpId::kSoftcapLogProbs), "log_probs["));
}

TEST(OpRunner, FindsUnwrittenElements) {
  EXPECT_TRUE(mentions(faults_of<LeavesATail>(OpId::kLeakyRelu2), "nan, want"));
}

TEST(OpRunner, FindsWritesOutOfBounds) {
  EXPECT_TRUE(mentions(faults_of<WritesPastTheEnd>(OpId::kRmsnorm), "y was written out of bounds"));
  EXPECT_TRUE(
      mentions(faults_of<WritesBeforeTheStart>(OpId::kRmsnorm), "rstd was written out of bounds"));
  EXPECT_TRUE(mentions(faults_of<ChangesAnInput>(OpId::kSmear), "input x was changed"));
}

TEST(OpRunner, FindsViewsTakenForDenseTensors) {
  EXPECT_TRUE(mentions(faults_of<IgnoresTheStrideOfAnInput>(OpId::kXsa), "y["));
  const Faults output = faults_of<IgnoresTheStrideOfAnOutput>(OpId::kXsaBackward);
  EXPECT_TRUE(mentions(output, "dv was written out of bounds"));
  EXPECT_TRUE(mentions(output, "dv["));
  const Faults gap = faults_of<WritesIntoTheGap>(OpId::kXsaBackward);
  EXPECT_TRUE(mentions(gap, "dv was written out of bounds"));
  EXPECT_FALSE(mentions(gap, "dv["));
}

TEST(OpRunner, FindsWrongAccumulation) {
  EXPECT_TRUE(mentions(faults_of<IgnoresAccumulate>(OpId::kMix), ", accumulate: y["));
  EXPECT_TRUE(mentions(faults_of<AlwaysAccumulates>(OpId::kMix), ", overwrite: y["));
}

TEST(OpRunner, FindsResultsThatDependOnThreadsOrHistory) {
  const Faults threads = faults_of<DependsOnThreads>(OpId::kLerp, Check::kRepeats);
  EXPECT_TRUE(mentions(threads, "on 3 threads"));
  EXPECT_FALSE(mentions(threads, "on 2 threads"));
  const Faults history = faults_of<DependsOnHistory>(OpId::kLerp, Check::kRepeats);
  EXPECT_TRUE(mentions(history, "when run again"));
}

// dv begins at the wrong element of a view, as a rule would that takes it for dense.
struct ForgetsTheViewOfV : ReferenceOps {
  void attention_backward(Out dq, Out dk, Out dv, In dy, In y, In lse, In q, In k, In v,
                          const AttentionShape& shape) override {
    ReferenceOps::attention_backward(dq, dk, Out{dv.data, dv.dtype}, dy, y, lse, q, k, v, shape);
  }
};

TEST(OpRunner, FindsGradientsThatIgnoreViews) {
  ForgetsTheViewOfV broken;
  int checked = 0;
  for (const OpCase& op_case : all_cases()) {
    if (op_case.op != OpId::kAttention || !is_gradient_checkable(op_case)) continue;
    const bool has_view = op_case.shape.find("view v") != std::string::npos;
    checked += has_view ? 1 : 0;
    const bool has_many_rows = op_case.shape.find("batch=1 tokens=1 ") == std::string::npos;
    EXPECT_EQ(mentions(check_gradient(broken, op_case), ": dv["), has_view && has_many_rows)
        << title(op_case);
  }
  EXPECT_GT(checked, 1);
}

TEST(OpRunner, FindsWrongGradients) {
  ForgetsTheMean broken;
  ReferenceOps correct;
  int checked = 0;
  for (const OpCase& op_case : all_cases()) {
    if (op_case.op != OpId::kRmsnorm || !is_gradient_checkable(op_case)) continue;
    ++checked;
    EXPECT_TRUE(mentions(check_gradient(broken, op_case), "finite differences"));
    EXPECT_TRUE(check_gradient(correct, op_case).empty());
  }
  EXPECT_GT(checked, 0);
}

}  // namespace
}  // namespace pg::optest
