// A device with cuDNN's attention as a GPU has it - the runtime, cuDNN's front end, graphs - over
// libraries that the host stands in for: what it computes, what it refuses, and that each call of
// theirs may fail.
#include "tests/simt/fake_cudnn/fake_cudnn.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "kernels/bf16.h"
#include "src/base/error.h"
#include "src/base/rng.h"
#include "src/device/cuda/cudnn/cudnn_attention.h"
#include "tests/ops/op_runner.h"
#include "tests/selftest/library_attention.h"
#include "tests/simt/fake_cuda/fake_cuda.h"
#include "tests/train/trajectory.h"

extern "C" pg::Device* pg_make_cuda_device(const char* name, bool is_bf16, int place,
                                           const char** refusal);

namespace pg {
namespace {

std::unique_ptr<Device> make_fake(const char* name = "cuda:cudnn") {
  const char* refusal = nullptr;
  std::unique_ptr<Device> device(pg_make_cuda_device(name, true, 0, &refusal));
  if (device == nullptr) throw Error(refusal);
  return device;
}

class FakeCudnn : public testing::Test {
 protected:
  // The front end asks a driver, where there is one, for a context; here there is none to ask for.
  FakeCudnn() { ::setenv("CUDNN_FRONTEND_CUDART_LIB_NAME", "/nothing/is/here", 1); }
  ~FakeCudnn() override {
    fake_cuda::fail_call(0);
    fake_cudnn::set_version(91900);
    fake_cudnn::set_missing(false);
    fake_cudnn::set_engines(fake_cudnn::Engines::kOrdered);
    fake_cudnn::scale_results(1);
    fake_cudnn::fail_pass(0);
  }
};

template <class Call>
std::string refusal_of(const Call& call) {
  try {
    call();
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

bool is_attention(OpId op) { return op == OpId::kAttention || op == OpId::kAttentionBackward; }

TEST_F(FakeCudnn, AttentionIsThatOfTheReference) {
  const auto device = make_fake();
  const int64_t plans = fake_cudnn::count_plans(), passes = fake_cudnn::count_passes();
  for (const optest::OpCase& op_case : optest::all_cases()) {
    if (!is_attention(op_case.op)) continue;
    for (const std::string& fault : optest::check_values(*device, op_case)) {
      ADD_FAILURE() << fault;
    }
  }
  EXPECT_GT(fake_cudnn::count_plans(), plans + 40);
  EXPECT_GT(fake_cudnn::count_passes(), passes + 200);
}

// The bounds of a library, which rounds more often than our kernels, say something still.
TEST_F(FakeCudnn, ALibraryThatIsTwoPercentOffIsSeen) {
  const auto device = make_fake();
  fake_cudnn::scale_results(1.02f);
  for (const OpId op : {OpId::kAttention, OpId::kAttentionBackward}) {
    int64_t wrong = 0;
    for (const optest::OpCase& op_case : optest::attention_cases()) {
      if (op_case.op != op || wrong == 3) continue;
      if (!optest::check_values(*device, op_case).empty()) ++wrong;
    }
    EXPECT_EQ(wrong, 3);
  }
}

TEST_F(FakeCudnn, TwentyStepsAreTheReferencesAndRepeatedOnesHaveTheirBits) {
  const RichTrajectory rich(DType::kBF16);
  const auto device = make_fake();
  const int64_t before = fake_cudnn::count_passes();
  EXPECT_LE(rich.stray_nats(*device), rich.bound_nats());
  const RichTrajectory::Repeats repeats = rich.compare_repeats(*device);
  EXPECT_TRUE(repeats.have_same_bits);
  EXPECT_GT(repeats.count, 0);
  EXPECT_GT(fake_cudnn::count_passes(), before + 20 * 3);
}

// What the self-test of a GPU says of both ways.
TEST_F(FakeCudnn, TheSelfTestComparesItWithOurOwn) {
  const auto own = make_fake("cuda"), library = make_fake();
  std::vector<optest::OpCase> cases = attention_cases_of_all_sizes();
  EXPECT_GT(cases.size(), 100u);
  cases.resize(12);  // the others take their time
  const AttentionShape timed = {2, 9, 4, 2, 16, 0.25f};
  const LibraryVerdict right = compare_attention(*own, *library, cases, timed);
  EXPECT_TRUE(right.faults.empty());
  const std::vector<std::string> lines = describe_comparison(right, timed);
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_EQ(lines[1],
            "attention of --device cuda:cudnn, 12 cases: each value within its bound, the same "
            "bits when run again");
  for (const PassTimes& times :
       {right.own, right.library, right.own_backward, right.library_backward}) {
    EXPECT_GT(times.best_s, 0);
    EXPECT_GE(times.median_s, times.best_s);
  }
  fake_cudnn::scale_results(1.1f);
  const LibraryVerdict wrong = compare_attention(*own, *library, cases, timed);
  EXPECT_GT(wrong.faults.size(), 3u);
  EXPECT_NE(describe_comparison(wrong, timed)[1].find("WRONG"), std::string::npos);
}

// One pass each way over a small shape, whose outputs are given back; rows of v and dv lie that many
// elements further apart than they are long.
struct Passes {
  static constexpr int64_t kTokens = 5, kHeads = 4, kKvHeads = 2, kHeadDim = 8;
  std::vector<bf16> y, dq, dk, dv;
};
Passes run_passes(Device& device, int64_t tokens = Passes::kTokens, int64_t gap = 0) {
  const AttentionShape shape = {1,    tokens, Passes::kHeads, Passes::kKvHeads, Passes::kHeadDim,
                                0.35f};
  const auto q_count = static_cast<size_t>(tokens * Passes::kHeads * Passes::kHeadDim);
  const auto kv_count = static_cast<size_t>(tokens * Passes::kKvHeads * Passes::kHeadDim);
  const CounterRng random(1, kStreamTest);
  uint64_t drawn = 0;
  const auto make = [&](size_t count, bool is_filled) {
    std::vector<bf16> values(count);
    if (is_filled) {
      for (bf16& value : values) value = bf16(static_cast<float>(random.normal(drawn++)));
    }
    auto buffer = std::make_unique<DeviceBuffer>(device, count * sizeof(bf16));
    device.upload(buffer->data(), values.data(), count * sizeof(bf16));
    return buffer;
  };
  const int64_t kv_cols = Passes::kKvHeads * Passes::kHeadDim, stride = kv_cols + gap;
  const auto view_count = static_cast<size_t>(tokens * stride);
  const auto q = make(q_count, true), k = make(kv_count, true), dy = make(q_count, true),
             y = make(q_count, false), dq = make(q_count, false), dk = make(kv_count, false),
             v = make(view_count, true), dv = make(view_count, false);
  const DeviceBuffer lse(device, static_cast<size_t>(tokens * Passes::kHeads) * sizeof(float));
  const auto in = [](const auto& buffer) { return In{buffer->data(), DType::kBF16}; };
  const auto out = [](const auto& buffer) { return Out{buffer->data(), DType::kBF16}; };
  const In v_view = {v->data(), DType::kBF16, stride};
  const Out dv_view = {dv->data(), DType::kBF16, false, stride};
  std::unique_ptr<KeptWork> kept;
  for (int i = 0; i < 3; ++i) {
    for (Repetition run(device, kept); run.is_due();) {
      device.ops().attention(out(y), {lse.data(), DType::kF32}, in(q), in(k), v_view, shape);
      device.ops().attention_backward(out(dq), out(dk), dv_view, in(dy), in(y),
                                      {lse.data(), DType::kF32}, in(q), in(k), v_view, shape);
    }
  }
  Passes passes;
  const auto read = [&](std::vector<bf16>& to, const auto& buffer, size_t count) {
    to.resize(count);
    device.download(to.data(), buffer->data(), count * sizeof(bf16));
  };
  read(passes.y, y, q_count);
  read(passes.dq, dq, q_count);
  read(passes.dk, dk, kv_count);
  read(passes.dv, dv, view_count);
  return passes;
}

bool are_near(const std::vector<bf16>& a, const std::vector<bf16>& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    const float x = static_cast<float>(a[i]), y = static_cast<float>(b[i]);
    if (!(std::abs(x - y) <= 0.03f * (1 + std::abs(x)))) return false;
  }
  return a.size() == b.size();
}
bool are_near(const Passes& a, const Passes& b) {
  return are_near(a.y, b.y) && are_near(a.dq, b.dq) && are_near(a.dk, b.dk) && are_near(a.dv, b.dv);
}

TEST_F(FakeCudnn, AShapesPlansAreMadeOnce) {
  const auto device = make_fake();
  run_passes(*device);
  const int64_t plans = fake_cudnn::count_plans();
  run_passes(*device);
  EXPECT_EQ(fake_cudnn::count_plans(), plans);
  run_passes(*device, Passes::kTokens + 1);
  EXPECT_EQ(fake_cudnn::count_plans(), plans + 2);
}

TEST_F(FakeCudnn, ADeviceWithoutItHasOurOwnAttention) {
  const auto own = make_fake("cuda"), library = make_fake();
  const int64_t passes = fake_cudnn::count_passes();
  const Passes by_own = run_passes(*own);
  EXPECT_EQ(fake_cudnn::count_passes(), passes);
  const Passes by_library = run_passes(*library);
  EXPECT_EQ(fake_cudnn::count_passes(), passes + 6);
  EXPECT_TRUE(are_near(by_own, by_library));
}

// Our backward pass reads what cuDNN's forward pass gives.
TEST_F(FakeCudnn, TheForwardPassAloneMayBeIts) {
  const auto own = make_fake("cuda"), forward = make_fake("cuda:cudnn_forward");
  const int64_t passes = fake_cudnn::count_passes();
  EXPECT_TRUE(are_near(run_passes(*own), run_passes(*forward)));
  EXPECT_EQ(fake_cudnn::count_passes(), passes + 3);
}

// As the model has them, columns of one tensor with q and k, which start at multiples of 16 bytes: cuDNN
// writes in place, and nothing between the rows.
TEST_F(FakeCudnn, ViewsAreReadAndWrittenInPlace) {
  const auto own = make_fake("cuda"), library = make_fake();
  const Passes by_own = run_passes(*own, Passes::kTokens, 24);
  const Passes by_library = run_passes(*library, Passes::kTokens, 24);
  EXPECT_TRUE(are_near(by_own, by_library));
  const size_t cols = Passes::kKvHeads * Passes::kHeadDim;
  for (size_t i = 0; i < by_library.dv.size(); ++i) {
    const bool is_between = i % (cols + 24) >= cols;
    EXPECT_TRUE(!is_between || static_cast<float>(by_library.dv[i]) == 0.0f) << i;
  }
}

TEST_F(FakeCudnn, AMissingLibraryAndAnOldOneAreSaidInALine) {
  fake_cudnn::set_missing(true);
  EXPECT_EQ(refusal_of([] { make_fake(); }), "cuDNN: it is not there");
  fake_cudnn::set_missing(false);
  fake_cudnn::set_version(91501);
  EXPECT_EQ(
      refusal_of([] { make_fake(); }),
      "cuDNN: 9.15.1 is too old, 9.16.0 is the least; install a later one, or use --device cuda");
  EXPECT_EQ(refusal_of([] { make_fake("cuda"); }), "");
}

// What the forward pass cannot be given to cuDNN for is ours; a gradient's sums have an order, or it
// is refused.
TEST_F(FakeCudnn, AShapeWithoutAPlanWhoseSumsHaveAnOrderIsRefused) {
  for (const auto engines : {fake_cudnn::Engines::kNone, fake_cudnn::Engines::kUnordered}) {
    fake_cudnn::set_engines(engines);
    const auto device = make_fake();
    const std::string said = refusal_of([&] { run_passes(*device); });
    EXPECT_TRUE(
        said.starts_with("cuDNN: no plan with sums in a fixed order for attention's gradient "
                         "[B=1 T=5 keys=5 H=4 K=2 S=8]: \""))
        << said;
    EXPECT_TRUE(said.ends_with("\"; try --device cuda")) << said;
    EXPECT_EQ(said.find('\n'), std::string::npos) << said;
    EXPECT_LT(said.size(), 600u) << said;
    const int64_t passes = fake_cudnn::count_passes();
    EXPECT_TRUE(
        are_near(run_passes(*make_fake("cuda:cudnn_forward")), run_passes(*make_fake("cuda"))));
    EXPECT_EQ(fake_cudnn::count_passes(), passes);
  }
}

// Of three runs the first is given, the second recorded, the third repeats it: what is refused while
// it is recorded is given instead.
TEST_F(FakeCudnn, APassThatIsRefusedIsSaidAndWhileItIsRecordedGivenInstead) {
  const Passes right = run_passes(*make_fake());
  for (int64_t pass = 1; pass <= 4; ++pass) {
    const auto device = make_fake();
    fake_cudnn::fail_pass(pass);
    Passes got;
    const std::string said = refusal_of([&] { got = run_passes(*device); });
    if (pass <= 2) {
      EXPECT_TRUE(said.starts_with("cuDNN: cudnnBackendExecute: \"")) << said;
      EXPECT_NE(said.find("CUDNN_STATUS_INTERNAL_ERROR: this pass"), std::string::npos) << said;
    } else {
      EXPECT_EQ(said, "");
      EXPECT_TRUE(are_near(got, right));
    }
    EXPECT_TRUE(are_near(run_passes(*device), right)) << "after a failure";
  }
}

// Plans and a pass each way, without the device around them.
class AttentionAlone {
 public:
  AttentionAlone() : device_(make_fake("cuda")), memory_(*device_, kParts * kPartBytes) {
    std::vector<bf16> values(kPartBytes / sizeof(bf16), bf16(0.5f));
    for (int i = 0; i < kParts; ++i) device_->upload(part(i), values.data(), kPartBytes);
  }
  // Whether the outputs are those of the first time, which is that of the values above.
  bool run_right() {
    GpuAttentionShape shape = {1, 5, 5, 4, 2, 8, 2 * 8, 2 * 8, 0.35f};
    const auto attention = make_cudnn_attention(device_stream(), 90);
    const GpuAttentionPlan* const forward = attention->plan_forward(shape);
    if (forward == nullptr) return true;  // ours computes it
    attention->run(
        shape,
        GpuAttentionForward{part(4), static_cast<float*>(part(5)), part(0), part(1), part(2)},
        part(9));
    const GpuAttentionPlan& backward = attention->plan_backward(shape);
    EXPECT_LE(std::max(forward->workspace_bytes, backward.workspace_bytes), kPartBytes);
    attention->run(
        shape,
        GpuAttentionBackward{part(6), part(7), part(8), part(3), part(4),
                             static_cast<const float*>(part(5)), part(0), part(1), part(2)},
        part(9));
    std::vector<std::byte> outputs(5 * kPartBytes);
    device_->download(outputs.data(), part(4), outputs.size());
    if (right_.empty()) right_ = outputs;
    return outputs == right_;
  }

 private:
  static constexpr int kParts = 10;
  static constexpr size_t kPartBytes = 4096;
  void* part(int i) const {
    return static_cast<std::byte*>(memory_.data()) + static_cast<size_t>(i) * kPartBytes;
  }
  kernels::Stream device_stream() const { return reinterpret_cast<kernels::Stream>(part(0)); }

  std::unique_ptr<Device> device_;
  DeviceBuffer memory_;
  std::vector<std::byte> right_;
};

// It ends with a line that says what failed, or, where nothing is lost by it, with the right numbers; and
// leaves nothing behind.
TEST_F(FakeCudnn, EachCallMayFail) {
  AttentionAlone attention;
  fake_cuda::fail_call(0);
  ASSERT_TRUE(attention.run_right());
  const int64_t calls = fake_cuda::count_calls(), live = fake_cuda::count_live();
  EXPECT_GT(calls, 1000);
  std::set<std::string> failed;
  for (int64_t n = 1; n <= calls; ++n) {
    fake_cuda::fail_call(n);
    std::string said;
    try {
      EXPECT_TRUE(attention.run_right()) << n;
    } catch (const Error& error) {
      said = error.what();
      EXPECT_EQ(said.find('\n'), std::string::npos) << said;
    }
    const std::string name = fake_cuda::name_of_failed_call();
    const bool is_of_cuda = name.starts_with("cuda");
    EXPECT_TRUE(said.empty() || said.starts_with(is_of_cuda ? "CUDA: " : "cuDNN: ")) << said;
    EXPECT_EQ(fake_cuda::count_live(), live) << name << ", call " << n << ": " << said;
    failed.insert(name);
  }
  for (const char* name :
       {"cudnnCreate", "cudnnDestroy", "cudnnSetStream", "cudnnBackendCreateDescriptor",
        "cudnnBackendDestroyDescriptor", "cudnnBackendSetAttribute", "cudnnBackendGetAttribute",
        "cudnnBackendFinalize", "cudnnBackendExecute"}) {
    EXPECT_TRUE(failed.contains(name)) << name << " was never reached";
  }
}

}  // namespace
}  // namespace pg
