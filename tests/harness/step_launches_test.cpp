// What a step of a record's size gives a GPU: launches, and passes over the activations. Counted on
// the CUDA back end itself, whose memory is promised by the system and never touched: nothing is
// computed, so that the size costs nothing.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <map>
#include <memory>
#include <new>
#include <utility>

#include "eval/learn/sgd_trainer.h"
#include "harness/bench/scratch_folder.h"
#include "harness/recipe/recipe.h"
#include "kernels/simt/simt_executor.h"
#include "src/data/corpus/write_shard.h"
#include "src/device/comm/comm_single.h"
#include "src/device/cuda/gpu_device.h"
#include "src/device/forward/forwarding_ops.h"
#include "src/device/op_table/op_list.h"
#include "src/device/simt/host_runtime.h"
#include "src/train/train_step.h"
#include "src/train/training_params.h"

namespace pg {
namespace {

struct Launches {
  int64_t kernels = 0, products = 0, copies = 0;
  int64_t count() const { return kernels + products; }
};

// Counts what a GPU would be given. Copies and fills are no launches, and are told apart.
class CountingRuntime final : public HostRuntime, public simt::KernelSubstitute {
 public:
  explicit CountingRuntime(Launches& launches) : launches_(launches) {}
  ~CountingRuntime() override {
    for (const auto& [memory, bytes] : sizes_) munmap(memory, bytes);
  }

  void launch(const void*, dim3, dim3, size_t, std::span<const simt::KernelArgument>) override {
    ++launches_.kernels;
  }
  void multiply(const GpuProduct&) override { ++launches_.products; }
  void copy(void*, const void*, size_t) override { ++launches_.copies; }
  void fill_zero(void*, size_t) override { ++launches_.copies; }

  void* allocate(size_t bytes) override {
    const size_t mapped = std::max<size_t>(bytes, 1);
    void* const memory = mmap(nullptr, mapped, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    sizes_.emplace(memory, mapped);
    return memory;
  }
  void release(void* memory) override {
    const auto found = sizes_.find(memory);
    if (found == sizes_.end()) return;
    munmap(memory, found->second);
    sizes_.erase(found);
  }
  void upload(void*, const void*, size_t) override {}
  void download(void*, const void*, size_t) override {}
  void start_download(void*, const void*, size_t) override {}

 private:
  Launches& launches_;
  std::map<void*, size_t> sizes_;
};

// What each op's calls launch.
class LaunchesByOp final : public ForwardingOps {
 public:
  LaunchesByOp(Ops& inner, const Launches& launches) : ForwardingOps(inner), launches_(launches) {}

  struct Row {
    int64_t calls = 0;
    Launches launches;
  };
  using Table = std::map<OpId, Row>;
  Table take() { return std::exchange(rows_, {}); }

 private:
  void before_op(OpId op) override {
    op_ = op;
    before_ = launches_;
  }
  void after_call() override {
    Row& row = rows_[op_];
    ++row.calls;
    row.launches.kernels += launches_.kernels - before_.kernels;
    row.launches.products += launches_.products - before_.products;
  }

  const Launches& launches_;
  Launches before_;
  OpId op_ = {};
  Table rows_;
};

class DeviceByOp final : public ForwardingDevice {
 public:
  DeviceByOp(Device& inner, const Launches& launches)
      : ForwardingDevice(inner), ops_(inner.ops(), launches) {}
  Ops& ops() override { return ops_; }
  LaunchesByOp::Table take() { return ops_.take(); }

 private:
  LaunchesByOp ops_;
};

std::string describe(const LaunchesByOp::Table& table) {
  std::string text;
  for (const auto& [op, row] : table) {
    text += fmt::format("  {:24} {:3} calls {:4} kernels {:4} products\n", op_info(op).name,
                        row.calls, row.launches.kernels, row.launches.products);
  }
  return text;
}

// The recipe of the record of 2026-03-23, with what one of eight GPUs does of a step.
class StepLaunches : public testing::Test {
 protected:
  StepLaunches() {
    constexpr int64_t kTokensOfAGpu = 98304;
    recipe_ =
        load_recipe("records/10min_16mb/2026-03-23_LeakyReLU_LegalTTT_ParallelMuon/recipe.toml", {},
                    [](const char*) -> const char* { return nullptr; })
            .recipe;
    recipe_.train.batch_tokens = recipe_.train.micro_batch_tokens = kTokensOfAGpu;
    recipe_.train.gradient_leaves = 1;
    recipe_.train.average = Average::kNone;  // a launch of its own
    auto runtime = std::make_unique<CountingRuntime>(launches_);
    substitute_ = std::make_unique<simt::ScopedSubstitute>(*runtime);
    device_ = std::make_unique<GpuDevice>("simt", std::move(runtime), DType::kBF16);
  }

  Launches launches_;
  std::unique_ptr<simt::ScopedSubstitute> substitute_;
  std::unique_ptr<GpuDevice> device_;
  Recipe recipe_;
};

// A product with a residual is cut into runs of rows whose f32 sums stay in a GPU's cache, a product
// and an addition each (cuda_ops_linear.cpp), which spares 0.4 GB of traffic a product. So launches are
// told with and without these cuts.
TEST_F(StepLaunches, OfTheRecordAreFew) {
  const ScratchFolder folder;
  write_shard(folder.file("ids.bin"), std::vector<uint16_t>(size_t{1} << 20, 7));
  const TokenStream stream = TokenStream::open(folder.file("ids.bin"), recipe_.model.vocab_size);
  const Batches batches(stream, Loader::kShuffled, /*seed=*/1, recipe_.train.seq_len);
  DeviceByOp by_op(*device_, launches_);
  TrainSetup setup;
  setup.model = recipe_.model;
  setup.train = recipe_.train;
  setup.optimizer = recipe_.optimizer;
  setup.device = &by_op;
  setup.batches = &batches;
  const auto comm = make_single_comm();
  TrainStep step(setup, *comm);
  step.start_at(0);
  launches_ = {};
  by_op.take();
  step.launch({});
  const Launches whole = launches_;
  LaunchesByOp::Table table = by_op.take();

  int64_t calls = 0;
  for (const auto& [op, row] : table) calls += row.calls;
  const int64_t residuals = 2 * recipe_.model.layers,
                additions = table[OpId::kLinear].launches.kernels;
  ASSERT_EQ(additions % residuals, 0) << "a kernel for each run of rows of each product";
  const int64_t cuts =
      2 * (additions - residuals);  // an addition and a product for each run but one
  const double passes = step.plan().passes_of_a_block();
  fmt::print(
      "a step of the record: {} calls, {} launches and {} of products that are cut; {:.1f} "
      "passes over [B*T, D] a block\n",
      calls, whole.count() - cuts, cuts, passes);
  EXPECT_LE(calls, 355) << describe(table);
  EXPECT_LE(whole.count() - cuts, 530) << describe(table);
  EXPECT_LE(cuts, 484);
  EXPECT_LE(passes, 46.0);
  EXPECT_GT(passes, 20.0);  // the MLP's activation alone is 15
}

// Test-time training of the published form on one of eight GPUs: two of a chunk's rows, then SGD on all
// weights. The planner takes as many for it (step_time.cpp).
TEST_F(StepLaunches, OfTestTimeTrainingAreFew) {
  TttConfig ttt = recipe_.ttt;
  ASSERT_EQ(ttt.batch_tokens / ttt.gradient_leaves, 2 * recipe_.eval.context);
  ttt.batch_tokens = 2 * recipe_.eval.context;
  ttt.gradient_leaves = 1;
  Weights weights(*device_, choose_sgd_params(recipe_.model, ttt), /*with_gradients=*/true);
  SgdTrainer trainer(recipe_.model, ttt, recipe_.eval.context, weights);
  const std::vector<int32_t> tokens(static_cast<size_t>(ttt.batch_tokens) + 1, 7);
  const auto step = [&] { trainer.train_pass(tokens, 1, std::ssize(tokens), ttt.lr); };
  step();
  launches_ = {};
  step();
  fmt::print("a step at test time, of two rows: {} launches\n", launches_.count());
  EXPECT_LE(launches_.count(), 440);
  EXPECT_GT(launches_.count(), 300);
}

// All of the optimizer: norm and clipping, AdamW, Muon, the copies that products read.
TEST_F(StepLaunches, OfTheOptimizerAreFewOnOneRankAndOnEight) {
  Weights weights(*device_, list_training_params(recipe_.model, recipe_.train),
                  /*with_gradients=*/true);
  for (const int ranks : {1, 8}) {
    int64_t most = 0;
    for (int rank = 0; rank < ranks; ++rank) {
      Optimizer optimizer(weights, recipe_.optimizer, rank, ranks);
      launches_ = {};
      optimizer.step(/*steps_done=*/0, /*lr_multiplier=*/1.0);
      most = std::max(most, launches_.count());
    }
    fmt::print("the optimizer on {} rank{}: {} launches\n", ranks, ranks == 1 ? "" : "s", most);
    EXPECT_LE(most, 110);
  }
}

}  // namespace
}  // namespace pg
