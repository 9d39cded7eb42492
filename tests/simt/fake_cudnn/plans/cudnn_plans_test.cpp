// cuDNN's own plans, without a GPU: for each shape of attention that a recipe of the tree trains or
// scores with, cuDNN chooses an engine for a GPU that is described, compiles it and loads what came
// out - into a driver that is not there. What is left to see on a GPU are its numbers and its time.
#include <dlfcn.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "harness/bench/shape_device.h"
#include "harness/recipe/recipe.h"
#include "kernels/bf16.h"
#include "src/base/error.h"
#include "src/device/cuda/cudnn/cudnn_attention.h"
#include "src/device/op_id.h"
#include "src/plan/op_flops.h"
#include "src/plan/plan.h"
#include "src/train/phases.h"
#include "src/train/training_params.h"
#include "tests/simt/fake_cudnn/plans/fake_driver.h"

namespace pg {
namespace {

namespace fs = std::filesystem;

std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct AttentionUse {
  bool is_trained = false;
  std::string recipe;  // one of those that have it
};
using Shapes = std::map<GpuAttentionShape, AttentionUse>;

// v is a view of the product that gives q, k and v; its gradient one of that product's, or dense.
GpuAttentionShape shape_of(const ModelConfig& m, int64_t batch, int64_t tokens) {
  const int64_t kv_cols = m.kv_heads * m.head_dim(), stride = m.dim + 2 * kv_cols;
  return {
      batch,   tokens,     tokens,
      m.heads, m.kv_heads, m.head_dim(),
      stride,  stride,     static_cast<float>(1 / std::sqrt(static_cast<double>(m.head_dim())))};
}

// What a phase's plan counts is what attention of that shape in each block would be.
void expect_as_planned(const Recipe& recipe, const Phase& phase, const GpuAttentionShape& s) {
  const ModelConfig model = model_in_phase(recipe.model, phase);
  const auto device = make_shape_device("cpu:bf16");
  Weights weights(*device, list_training_params(model, recipe.train), /*with_gradients=*/true);
  const ModelPlan plan(model, weights, s.batch, s.tokens - model.memory_tokens, PlanMode::kTrain);
  const AttentionShape one = {s.batch, s.tokens, s.heads, s.kv_heads, s.head_dim};
  const auto blocks = static_cast<double>(model.layers + loop_runs(model));
  const auto ops = plan.plan().count_work();
  EXPECT_DOUBLE_EQ(ops[static_cast<size_t>(OpId::kAttention)].flops, blocks * attention_flops(one));
}

void add_shapes(const Recipe& recipe, const std::string& name, Shapes& shapes) {
  const TrainConfig& train = recipe.train;
  ASSERT_TRUE(recipe.model.paired_heads_at.empty()) << name << ": heads in pairs have other shapes";
  const auto add = [&](const GpuAttentionShape& shape, bool is_trained) {
    const bool is_new = !shapes.contains(shape);
    AttentionUse& use = shapes[shape];
    if (is_new) use.recipe = name;
    use.is_trained = use.is_trained || is_trained;
    return is_new;
  };
  if (recipe.data.loader != Loader::kPacked) {  // packed sequences are our own kernels'
    Phases phases(recipe.model, train);
    for (const Phase& phase : phases.list()) {
      const int64_t rows = phases.rows(phase, train.micro_batch_tokens / train.seq_len);
      const GpuAttentionShape shape =
          shape_of(recipe.model, rows, phases.seq_len(phase) + recipe.model.memory_tokens);
      if (add(shape, true)) expect_as_planned(recipe, phase, shape);
    }
  }
  const int64_t windows = std::max(recipe.eval.batch_tokens / recipe.eval.context, int64_t{1});
  add(shape_of(recipe.model, windows, recipe.eval.context + recipe.model.memory_tokens), false);
}

Shapes shapes_of_recipes() {
  Shapes shapes;
  std::set<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator("records")) {
    if (entry.path().filename() == "recipe.toml") files.insert(entry.path());
  }
  for (const fs::path& file : files) {
    add_shapes(load_recipe(file, {}, [](const char*) { return nullptr; }).recipe, file.string(),
               shapes);
  }
  EXPECT_GE(files.size(), 40u);
  // A GPU's share of a record's step: `bench train --shape record_gpu`.
  shapes[shape_of(ModelConfig{}, 48, 2048)] = {true, "record_gpu"};
  return shapes;
}

// Machine code for a GPU: an ELF file of NVIDIA's machine.
bool is_for_gpu(const FakeDriverImage& image) {
  constexpr uint16_t kCudaMachine = 190;
  constexpr size_t kMachineAt = 18;
  uint16_t machine = 0;
  std::memcpy(&machine, image.header + kMachineAt, sizeof machine);
  return std::memcmp(image.header, "\177ELF", 4) == 0 && machine == kCudaMachine;
}

class CudnnPlans : public testing::Test {
 protected:
  // Null, and the test skipped, where cuDNN is missing.
  std::unique_ptr<GpuAttention> make_planner(const char* description, int compute_capability) {
    void* const driver = ::dlopen(PG_FAKE_DRIVER, RTLD_NOW | RTLD_GLOBAL);
    EXPECT_NE(driver, nullptr) << ::dlerror();
    image_ = reinterpret_cast<decltype(&fake_driver_image)>(::dlsym(driver, "fake_driver_image"))();
    try {
      return make_cudnn_planner(read_text(fs::path("tests/simt/fake_cudnn/plans") / description),
                                compute_capability);
    } catch (const Error& error) {
      reason_ = error.what();
      return nullptr;
    }
  }

  template <class Make>
  void expect_plan(const char* pass, const GpuAttentionShape& s, const Make& make) {
    using Clock = std::chrono::steady_clock;
    const Clock::time_point start = Clock::now();
    const size_t loads = image_->loads;
    const GpuAttentionPlan* const plan = make();
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    ASSERT_NE(plan, nullptr) << pass;
    EXPECT_GT(image_->loads, loads);
    EXPECT_TRUE(is_for_gpu(*image_));
    // A quarter of the GPU's memory: the rest is the training's.
    EXPECT_LT(plan->workspace_bytes, size_t{20} << 30);
    fmt::print(
        "  {:<8} B={:<3} T={:<4} keys={:<4} H={} K={} S={:<3} {:<12} {:>6.1f} MiB {:.1f} s\n", pass,
        s.batch, s.tokens, s.keys, s.heads, s.kv_heads, s.head_dim, plan->engine,
        static_cast<double>(plan->workspace_bytes) / (1 << 20), seconds);
    fmt::print("           {}\n", image_->kernel);
  }

  void plan_passes(GpuAttention& library, const GpuAttentionShape& shape, bool is_trained) {
    GpuAttentionShape forward = shape;
    forward.dv_stride = 0;
    expect_plan("forward", forward, [&] { return library.plan_forward(forward); });
    if (!is_trained) return;
    expect_plan("backward", shape, [&] { return &library.plan_backward(shape); });
    // Only the algorithm that adds up in order writes the scores' gradients down; no note of an engine
    // tells the other, which adds by atomics, from it.
    const int64_t tile = 64, rows = (shape.tokens + tile - 1) / tile * tile;
    EXPECT_GE(library.plan_backward(shape).workspace_bytes,
              static_cast<size_t>(shape.batch * shape.heads * rows * rows) * sizeof(bf16));
  }

  const FakeDriverImage* image_ = nullptr;
  std::string reason_;
};

TEST_F(CudnnPlans, OfEveryRecipeAreMadeForAnH100) {
  const auto library = make_planner("h100_sxm.json", 90);
  if (library == nullptr) GTEST_SKIP() << reason_;
  fmt::print("{}, for an H100:\n", library->description());
  const Shapes shapes = shapes_of_recipes();
  EXPECT_GE(shapes.size(), 5u);
  for (const auto& [shape, use] : shapes) {
    SCOPED_TRACE(use.recipe);
    plan_passes(*library, shape, use.is_trained);
  }
}

// A tail of queries, odd lengths, the largest head; of a GPU before that as well.
TEST_F(CudnnPlans, OfEdgesAreMade) {
  const ModelConfig grouped;
  GpuAttentionShape tail = shape_of(grouped, 2, 17);
  tail.keys = 217;
  GpuAttentionShape wide = shape_of(grouped, 1, 77);
  wide.head_dim = 128;
  wide.v_stride = wide.dv_stride = wide.kv_heads * wide.head_dim;
  for (const auto& [description, capability] :
       {std::pair("h100_sxm.json", 90), std::pair("a100_sxm.json", 80)}) {
    const auto library = make_planner(description, capability);
    if (library == nullptr) GTEST_SKIP() << reason_;
    fmt::print("{}, {}:\n", library->description(), description);
    plan_passes(*library, tail, false);
    plan_passes(*library, wide, true);
  }
}

TEST_F(CudnnPlans, ADescriptionThatIsNoneIsSaidInALine) {
  if (make_planner("h100_sxm.json", 90) == nullptr) GTEST_SKIP() << reason_;
  EXPECT_EQ(make_planner("no_such_gpu.json", 90), nullptr);
  EXPECT_TRUE(reason_.starts_with("cuDNN: description of a GPU: \"")) << reason_;
  EXPECT_EQ(reason_.find('\n'), std::string::npos) << reason_;
}

}  // namespace
}  // namespace pg
