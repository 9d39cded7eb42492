#include "harness/bench/bench_train.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "harness/bench/bench_profile.h"
#include "harness/bench/counting_device.h"
#include "harness/bench/scratch_folder.h"
#include "src/base/error.h"
#include "src/base/rng.h"
#include "src/base/threads.h"
#include "src/data/corpus/write_shard.h"
#include "src/device/comm/comm_single.h"
#include "src/device/registry/make_device.h"
#include "src/plan/plan.h"
#include "src/text/json_object.h"
#include "src/train/checkpoint_writer.h"
#include "src/train/train_state.h"
#include "src/train/train_step.h"

namespace pg {
namespace {

struct Shape {
  const char* name;
  ModelConfig model;
  int64_t seq_len, batch_tokens, micro_batch_tokens;
  bool is_of_all = true;  // of those that "all" times
};

// All but the track's are those that the peers are timed on too (scripts/torch_peer.py).
std::vector<Shape> make_shapes() {
  ModelConfig small;
  small.layers = 4;
  small.dim = 256;
  small.heads = 4;
  small.kv_heads = 2;
  small.mlp_hidden = 768;
  small.bigram_buckets = 0;
  small.value_embed_layers = 0;
  const ModelConfig record;  // the defaults: 11 x 512
  ModelConfig track;         // the records of cpu_10min_1mb
  track.layers = 5;
  track.dim = 192;
  track.heads = 3;
  track.kv_heads = 1;
  track.mlp_hidden = 576;
  track.xsa_last_n = 2;
  track.bigram_buckets = 1024;
  track.bigram_dim = 48;
  track.value_embed_layers = 0;
  return {{"small", small, 256, 16384, 4096},
          {"record", record, 2048, 8192, 4096},
          {"cpu_10min_1mb", track, 256, 8192, 4096},
          // What one of eight GPUs does of a step of 786,432 tokens; a CPU takes minutes over it.
          {"record_gpu", record, 2048, 98304, 98304, /*is_of_all=*/false}};
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// A shard of random ids, which is gone again when its stream is closed.
TokenStream open_random_tokens(int64_t vocab_size) {
  constexpr size_t kTokens = size_t{1} << 20;
  const CounterRng rng(1, kStreamTest);
  std::vector<uint16_t> ids(kTokens);
  for (size_t i = 0; i < ids.size(); ++i) {
    ids[i] = static_cast<uint16_t>(rng.below(i, static_cast<uint64_t>(vocab_size)));
  }
  const ScratchFolder folder;
  const std::string shard = folder.file("random.bin");
  write_shard(shard, ids);
  return TokenStream::open(shard, vocab_size);
}

// What a checkpoint costs training.
struct CheckpointCost {
  double bytes = 0;
  double copy_s = 0;  // training waits for the copy of its state
  double core_s = 0;  // processor time of writing it, beside training
};

// The trainer's own step on one shape.
class TrainLoop {
 public:
  TrainLoop(const Shape& shape, Device& device, int64_t leaves)
      : device_(device),
        stream_(open_random_tokens(shape.model.vocab_size)),
        batches_(stream_, Loader::kShuffled, /*seed=*/1, shape.seq_len),
        comm_(make_single_comm()),
        step_(make_setup(shape, leaves), *comm_) {
    step_.start_at(0);
  }

  // Waits for the step, so that the peak can be measured between two: what a trainer hides by giving
  // the next one to the device meanwhile is counted here.
  double time_step() {
    const auto start = std::chrono::steady_clock::now();
    device_.wait(step_.launch({}).event);
    const TrainStep::Numbers numbers = step_.numbers(++steps_);
    const double step_s = seconds_since(start);
    if (!std::isfinite(numbers.loss_nats) || !std::isfinite(numbers.grad_norm)) {
      throw Error(fmt::format("the loss of step {} is not finite; its speed says nothing", steps_));
    }
    return step_s;
  }
  // The optimizer once more, from the gradients of the last step.
  double time_optimizer() {
    const auto start = std::chrono::steady_clock::now();
    step_.optimizer().step(steps_, 1.0);
    device_.synchronize();
    return seconds_since(start);
  }
  // What a step asks of the device.
  OpCounts count_step() {
    device_.set_counting(true);
    device_.take_counts();
    time_step();
    device_.set_counting(false);
    return device_.take_counts();
  }
  // The second of two, which finds its memory there.
  CheckpointCost time_checkpoint() {
    const ScratchFolder folder;
    const std::string file = folder.file("checkpoint.bin");
    CheckpointWriter writer(file, sizes_of_state(step_));
    CheckpointCost cost;
    for (int i = 0; i < 2; ++i) {
      const auto start = std::chrono::steady_clock::now();
      writer.start(steps_, [&](CheckpointImage& image) {
        CheckpointHead head;
        head.steps = steps_;
        image.set_head(head);
        download_state(step_, image);
      });
      cost.copy_s = seconds_since(start);
      const std::clock_t begin = std::clock();  // of all threads, of which the writer alone works
      writer.wait();
      cost.core_s = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
      if (const std::string failure = writer.take_failure(); !failure.empty()) throw Error(failure);
    }
    cost.bytes = static_cast<double>(std::filesystem::file_size(file));
    return cost;
  }
  double step_flops() { return step_.plan().flops() * static_cast<double>(step_.micro_batches()); }
  TrainStep& train_step() { return step_; }

 private:
  TrainSetup make_setup(const Shape& shape, int64_t leaves) {
    TrainSetup setup;
    setup.model = shape.model;
    setup.train.seq_len = shape.seq_len;
    setup.train.batch_tokens = shape.batch_tokens;
    setup.train.micro_batch_tokens = shape.micro_batch_tokens;
    setup.train.gradient_leaves = leaves;
    setup.device = &device_;
    setup.batches = &batches_;
    check_batches(setup.train, /*ranks=*/1);
    return setup;
  }

  CountingDevice device_;
  TokenStream stream_;
  Batches batches_;
  std::unique_ptr<Comm> comm_;
  TrainStep step_;
  int64_t steps_ = 0;
};

struct Measured {
  DevicePeak peak;  // the best between the steps
  OpCounts calls;   // of a step
  double median_s = 0, best_s = 0, optimizer_share = 0;
  double flops_per_s = 0;  // by the median; with_optimizer: its products too
  double flops_per_s_with_optimizer = 0;
};

Measured measure(TrainLoop& loop, Device& device, int64_t steps) {
  Measured m;
  m.peak = device.measure_peak();
  m.calls = loop.count_step();  // warms up too
  loop.time_optimizer();
  std::vector<double> step_s;
  double optimizer_s = 0;
  for (int64_t i = 0; i < steps; ++i) {
    step_s.push_back(loop.time_step());
    optimizer_s += loop.time_optimizer();
    m.peak.matmul_flops_per_s = std::max(m.peak.matmul_flops_per_s, device.measure_matmul());
  }
  m.optimizer_share = optimizer_s / std::accumulate(step_s.begin(), step_s.end(), 0.0);
  std::sort(step_s.begin(), step_s.end());
  m.best_s = step_s.front();
  m.median_s = step_s[step_s.size() / 2];
  m.flops_per_s = loop.step_flops() / m.median_s;
  m.flops_per_s_with_optimizer =
      m.flops_per_s + loop.train_step().optimizer().flops_per_step() / m.median_s;
  return m;
}

int64_t total(const OpCounts& calls) {
  return std::accumulate(calls.begin(), calls.end(), int64_t{0});
}

void print_json(const Shape& shape, const Measured& m) {
  const double tokens = static_cast<double>(shape.batch_tokens);
  JsonObject line;
  line.add("shape", shape.name).add("params", count_params(shape.model));
  line.add("seq_len", shape.seq_len).add("batch_tokens", shape.batch_tokens);
  line.add("tokens_per_s", tokens / m.median_s).add("best_tokens_per_s", tokens / m.best_s);
  line.add("gflops", m.flops_per_s / 1e9);
  line.add("peak_gflops", m.peak.matmul_flops_per_s / 1e9);
  line.add("gflops_with_optimizer", m.flops_per_s_with_optimizer / 1e9);
  line.add("optimizer_share", m.optimizer_share);
  line.add("calls_per_step", total(m.calls));
  fmt::print("{}\n", line.line());
}

void print_table(const Shape& shape, const Measured& m) {
  const double tokens = static_cast<double>(shape.batch_tokens);
  fmt::print("{}: {:.2f}M parameters, {} x {}, T = {}, {} tokens a step, {}\n", shape.name,
             static_cast<double>(count_params(shape.model)) / 1e6, shape.model.layers,
             shape.model.dim, shape.seq_len, shape.batch_tokens, m.peak.description);
  fmt::print("  median {:.1f} ms/step  {:.0f} tok/s   best {:.1f} ms  {:.0f} tok/s\n",
             1e3 * m.median_s, tokens / m.median_s, 1e3 * m.best_s, tokens / m.best_s);
  fmt::print(
      "  {:.0f} GFLOP/s of {:.0f}, the best peak between the steps = {:.1f} %   copy {:.1f} "
      "GB/s\n",
      m.flops_per_s / 1e9, m.peak.matmul_flops_per_s / 1e9,
      100 * m.flops_per_s / m.peak.matmul_flops_per_s, m.peak.copy_bytes_per_s / 1e9);
  fmt::print("  optimizer: {:.1f} % of the step; with its products {:.0f} GFLOP/s = {:.1f} %\n",
             100 * m.optimizer_share, m.flops_per_s_with_optimizer / 1e9,
             100 * m.flops_per_s_with_optimizer / m.peak.matmul_flops_per_s);
}

void print_checkpoint(const CheckpointCost& cost) {
  constexpr double kEvery_s = 30;
  const double share = (cost.copy_s + cost.core_s / thread_count()) / kEvery_s;
  fmt::print(
      "  checkpoint: {:.0f} MB; training waits {:.0f} ms for a copy, {:.2f} s of a core write it: "
      "{:.2f} % of training with one every {:.0f} s\n",
      cost.bytes / 1e6, 1e3 * cost.copy_s, cost.core_s, 100 * share, kEvery_s);
}

// What a step gives the device, whatever the machine: calls, and how often the activations of a
// layer pass through memory beside products and attention.
void print_calls(TrainStep& step, const OpCounts& calls, const std::vector<OpProfile>& profile,
                 int64_t profiled_runs) {
  fmt::print(
      "  plan: {} calls a micro-batch, {:.1f} passes over [B*T, D] a block beside products and "
      "attention; optimizer: {} calls a step\n",
      step.plan().plan().call_count(), step.plan().passes_of_a_block(),
      step.optimizer().ops_per_step());
  std::string others;
  for (size_t i = 0; i < calls.size(); ++i) {
    const int64_t beside = calls[i] - step.micro_batches() * profile[i].calls / profiled_runs;
    if (beside > 0) others += fmt::format(" {} {},", kOps[i].name, beside);
  }
  if (!others.empty()) others.pop_back();
  fmt::print("  step: {} calls, {} micro-batches; beside their plan:{}\n", total(calls),
             step.micro_batches(), others);
}

void bench_shape(const Shape& shape, Device& device, const BenchTrainOptions& options) {
  TrainLoop loop(shape, device, options.leaves);
  const Measured measured = measure(loop, device, options.steps);
  if (options.json) {
    print_json(shape, measured);
  } else {
    print_table(shape, measured);
    if (options.profile) {
      std::vector<OpProfile> profile;
      for (int64_t i = 0; i < options.steps; ++i) {
        loop.train_step().plan().plan().run_profiled(profile);
      }
      print_profile(profile, measured.peak);
      print_calls(loop.train_step(), measured.calls, profile, options.steps);
      print_checkpoint(loop.time_checkpoint());
    }
  }
  std::fflush(stdout);
}

}  // namespace

int run_bench_train(const BenchTrainOptions& options) {
  const auto device = make_device(options.device);
  bool found = false;
  for (const Shape& shape : make_shapes()) {
    if (options.shape == "all" ? !shape.is_of_all : options.shape != shape.name) continue;
    found = true;
    bench_shape(shape, *device, options);
  }
  if (!found) {
    throw Error(
        fmt::format("unknown shape \"{}\"; use small, record, cpu_10min_1mb, record_gpu or all",
                    options.shape));
  }
  return 0;
}

}  // namespace pg
