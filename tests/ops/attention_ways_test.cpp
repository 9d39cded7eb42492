// Attention every way that a processor may compute it: a device takes the fastest, so that no other
// would be tried on this machine.
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <deque>
#include <string>
#include <vector>

#include "src/base/rng.h"
#include "src/device/cpu/cpu_attention.h"
#include "src/device/cpu/cpu_matmul.h"
#include "src/device/cpu/cpu_scratch.h"
#include "src/device/cpu/cpu_tile_kernels.h"
#include "src/device/host_device.h"
#include "src/device/reference/reference_ops.h"
#include "tests/ops/op_runner.h"

namespace pg::optest {
namespace {

constexpr auto kTileIsas =
    std::to_array({TileIsa::kGeneric, TileIsa::kAvx2, TileIsa::kAvx512, TileIsa::kAvx512Bf16});

const char* tile_name(TileIsa isa) {
  const char* const names[] = {"Generic", "Avx2", "Avx512", "Avx512Bf16"};
  return names[static_cast<size_t>(isa)];
}

// By tile kernels, or by products where there is none.
class AttentionOps final : public ReferenceOps {
 public:
  explicit AttentionOps(const TileKernel* kernel) : kernel_(kernel) {}

  void attention(Out y, Out lse, In q, In k, In v, const AttentionShape& shape) override {
    if (kernel_ != nullptr) {
      attention_by_tiles(*kernel_, scratch_, y, lse, q, k, v, shape);
    } else {
      attention_by_products(matmul_, scratch_, y, lse, q, k, v, shape);
    }
  }
  void attention_backward(Out dq, Out dk, Out dv, In dy, In y, In lse, In q, In k, In v,
                          const AttentionShape& shape) override {
    if (kernel_ != nullptr) {
      attention_backward_by_tiles(*kernel_, scratch_, dq, dk, dv, dy, y, lse, q, k, v, shape);
    } else {
      attention_backward_by_products(matmul_, scratch_, dq, dk, dv, dy, y, lse, q, k, v, shape);
    }
  }

 private:
  const TileKernel* kernel_;
  CpuMatmul matmul_{kMaxCpuThreads};
  CpuScratch scratch_{kMaxCpuThreads};
};

class AttentionDevice final : public HostDevice {
 public:
  AttentionDevice(const char* name, const TileKernel* kernel, DType type)
      : HostDevice(name, type), ops_(kernel) {}
  Ops& ops() override { return ops_; }
  DevicePeak measure_peak() override { return {}; }
  double measure_matmul() override { return 0.0; }

 private:
  AttentionOps ops_;
};

// Every way that this processor has and that reads the type, each against the same reference.
void expect_right(DType type) {
  std::deque<AttentionDevice> tiles;
  for (const TileIsa isa : kTileIsas) {
    if (!has_tile_isa(isa) || (type == DType::kF32 && tile_kernel(isa).pairs)) continue;
    tiles.emplace_back(tile_name(isa), &tile_kernel(isa), type);
  }
  AttentionDevice products("attention by products", nullptr, type);  // processors with AMX use them
  for (const OpCase& op_case : all_cases()) {
    if (op_case.op != OpId::kAttention && op_case.op != OpId::kAttentionBackward) continue;
    std::vector<Device*> devices;
    for (AttentionDevice& device : tiles) devices.push_back(&device);
    // Products are for whole sequences, one a row: CpuOps gives tile kernels the rest.
    const bool is_whole = op_case.shape.find(" first=") == std::string::npos &&
                          op_case.shape.find(" packed") == std::string::npos;
    if (is_whole) devices.push_back(&products);
    for (const std::string& fault : check_values(devices, op_case)) ADD_FAILURE() << fault;
  }
}

TEST(AttentionWays, OfBf16MatchTheReference) { expect_right(DType::kBF16); }
TEST(AttentionWays, OfFloatsMatchTheReference) { expect_right(DType::kF32); }

class TileIsas : public testing::TestWithParam<TileIsa> {
 protected:
  void SetUp() override {
    if (!has_tile_isa(GetParam())) GTEST_SKIP() << "not on this processor";
  }
  const TileKernel& kernel() const { return tile_kernel(GetParam()); }
};

std::vector<float> random_floats(int64_t count, uint64_t seed) {
  const CounterRng rng(seed, kStreamTest);
  std::vector<float> out(static_cast<size_t>(count));
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(4.0 * rng.uniform(i) - 2.0);
  return out;
}

// All results of both passes, one after another.
std::vector<uint32_t> attention_bits(const TileKernel& kernel, const AttentionShape& s) {
  const int64_t queries = s.rows() * s.heads * s.head_dim;
  const int64_t keys = s.rows() * s.kv_heads * s.head_dim;
  const std::vector<float> q = random_floats(queries, 1), k = random_floats(keys, 2),
                           v = random_floats(keys, 3), dy = random_floats(queries, 4);
  std::vector<float> y(q.size()), dq(q.size()), dk(k.size()), dv(v.size()),
      lse(static_cast<size_t>(s.rows() * s.heads));
  const auto in = [](const std::vector<float>& x) { return In{x.data(), DType::kF32}; };
  const auto out = [](std::vector<float>& x) { return Out{x.data(), DType::kF32}; };
  CpuScratch scratch(kMaxCpuThreads);
  attention_by_tiles(kernel, scratch, out(y), out(lse), in(q), in(k), in(v), s);
  attention_backward_by_tiles(kernel, scratch, out(dq), out(dk), out(dv), in(dy), in(y), in(lse),
                              in(q), in(k), in(v), s);
  std::vector<uint32_t> bits;
  for (const std::vector<float>& part : {y, lse, dq, dk, dv}) {
    for (const float x : part) bits.push_back(std::bit_cast<uint32_t>(x));
  }
  return bits;
}

TEST_P(TileIsas, FloatsGiveTheBitsOfTheGenericKernel) {
  if (kernel().pairs) GTEST_SKIP() << "reads bf16 only";
  for (const AttentionShape& s :
       {AttentionShape{1, 530, 2, 1, 64, 0.125f}, AttentionShape{2, 37, 3, 1, 24, 2.0f}}) {
    EXPECT_EQ(attention_bits(kernel(), s), attention_bits(tile_kernel(TileIsa::kGeneric), s));
  }
}

INSTANTIATE_TEST_SUITE_P(Each, TileIsas, testing::ValuesIn(kTileIsas),
                         [](const auto& info) { return std::string(tile_name(info.param)); });

}  // namespace
}  // namespace pg::optest
