// NCCL as a run uses it, over a stand-in: what ranks compute, that each call may fail, and what is said where
// it cannot be used.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "src/device/comm/nccl/nccl_facts.h"
#include "src/device/comm/nccl/nccl_library.h"
#include "tests/comm/comm_checks.h"
#include "tests/selftest/link_check.h"
#include "tests/simt/fake_cuda/fake_ranks.h"

namespace pg {
namespace {

class NcclRanks : public FakeRanks {};

TEST_F(NcclRanks, OneTwoAndFourGpusGiveTheSameWeightsAsThroughTheHosts) {
  const TrainResult one = train_on(1);
  const std::vector<StepReport> steps = std::exchange(recorder_.steps, {});
  for (const ExchangeBy by : {ExchangeBy::kDevices, ExchangeBy::kHosts}) {
    exchange_ = by;
    for (const int ranks : {2, 4}) {
      others_.clear();
      const int64_t before = fake_cuda::count_live();
      const TrainResult several = train_on(ranks);
      EXPECT_EQ(fake_cuda::count_live(), before);
      expect_same(one.exported, several.exported);
      for (const TrainResult& other : others_) expect_same(one.exported, other.exported);
      ASSERT_EQ(recorder_.steps.size(), steps.size());
      for (size_t i = 0; i < steps.size(); ++i) {
        EXPECT_EQ(recorder_.steps[i].loss_nats, steps[i].loss_nats);
        EXPECT_EQ(recorder_.steps[i].grad_norm, steps[i].grad_norm);
      }
      recorder_.steps.clear();
    }
  }
}

TEST_F(NcclRanks, ACheckpointOfFourGoesOnWithOne) {
  const TrainResult whole = train_on(1);
  exchange_ = ExchangeBy::kDevices;
  expect_goes_on(whole, 4, 1, 1);
  expect_goes_on(whole, 1, 4, 1);
}

// What every Comm must do, in the memory of GPUs: a rank's values go up, the operation runs, and they come
// back.
class CommOfGpu final : public Comm {
 public:
  CommOfGpu(Comm& comm, Device& device) : comm_(comm), device_(device) {}
  std::string_view name() const override { return comm_.name(); }
  int rank() const override { return comm_.rank(); }
  int ranks() const override { return comm_.ranks(); }
  CommTicket exchange(std::span<const CommPiece> sends,
                      std::span<const CommPiece> receives) override {
    Operation& own = begin();
    const auto up = own.upload(device_, sends), to = own.upload(device_, receives);
    return add(comm_.exchange(up, to));
  }
  CommTicket all_gather(std::span<const CommPiece> pieces) override {
    return add(comm_.all_gather(begin().upload(device_, pieces)));
  }
  CommTicket reduce_scatter(std::span<const CommPiece> pieces) override {
    return add(comm_.reduce_scatter(begin().upload(device_, pieces)));
  }
  void wait(CommTicket ticket) override {
    Operation& own = operations_.at(ticket.id);
    comm_.wait(ticket);
    for (size_t i = 0; i < own.memory.size(); ++i) {
      device_.download(own.host[i].data, own.memory[i].data(), own.host[i].bytes);
    }
    operations_.erase(ticket.id);
  }
  void barrier() override { comm_.barrier(); }
  void fail(std::string_view reason) noexcept override { comm_.fail(reason); }
  Comm& host() override { return comm_.host(); }

 private:
  struct Operation {
    std::vector<CommPiece> host;
    std::vector<DeviceBuffer> memory;
    std::vector<CommPiece> upload(Device& device, std::span<const CommPiece> pieces) {
      std::vector<CommPiece> up;
      for (const CommPiece& piece : pieces) {
        memory.emplace_back(device, piece.bytes);
        device.upload(memory.back().data(), piece.data, piece.bytes);
        host.push_back(piece);
        up.push_back({piece.rank, memory.back().data(), piece.bytes});
      }
      return up;
    }
  };
  Operation& begin() { return begun_ = Operation(); }
  CommTicket add(CommTicket ticket) {
    operations_[ticket.id] = std::move(begun_);
    return ticket;
  }
  Comm& comm_;
  Device& device_;
  Operation begun_;
  std::map<uint64_t, Operation> operations_;
};

using Body = std::function<void(Comm& comm, Device& device)>;

// body() on ranks that NCCL joins.
void run_joined(int ranks, const Body& body) {
  run_ranks(ranks, [&](Comm& host) {
    const auto device = make_fake_gpu(DType::kF32, host.rank());
    const DeviceLink link = join_devices(host, *device, ExchangeBy::kDevices);
    fail_on_throw(*link.comm, [&] { body(*link.comm, *device); });
  });
}

TEST_F(NcclRanks, GiveWhatThePlainModelGives) {
  for (const int ranks : {2, 4}) {
    run_joined(ranks, [](Comm& comm, Device& device) {
      require(comm.name() == "nccl", "the name");
      CommOfGpu of_gpu(comm, device);
      check_random_exchanges(of_gpu, 17, 12);
      check_random_gathers(of_gpu, 18, 12);
      check_random_sums(of_gpu, 19, 12);
      check_operations_in_a_row(of_gpu, 200);  // more than events, several times over
      check_broadcast_and_barrier(of_gpu);
    });
  }
}

// A bit of each operation: what a rank has at the end must be so.
bool work_is_right() {
  std::atomic<int> right = 0;
  run_joined(2, [&](Comm& comm, Device& device) {
    constexpr size_t kFloats = 8;
    const int rank = comm.rank(), other = 1 - rank;
    const std::vector<float> ones(kFloats, static_cast<float>(rank + 1));
    DeviceBuffer own(device, kFloats * sizeof(float)), theirs(device, kFloats * sizeof(float));
    device.upload(own.data(), ones.data(), own.bytes());
    const CommPiece sent{other, own.data(), own.bytes()}, got{other, theirs.data(), theirs.bytes()};
    comm.wait(comm.exchange({&sent, 1}, {&got, 1}));
    const CommPiece shared{0, own.data(), own.bytes()};
    comm.wait(comm.all_gather({&shared, 1}));  // both have rank 0's ones
    const CommPiece summed{1, own.data(), own.bytes()};
    comm.wait(comm.reduce_scatter({&summed, 1}));  // twos on rank 1
    std::vector<float> received(kFloats), sums(kFloats);
    device.download(received.data(), theirs.data(), theirs.bytes());
    device.download(sums.data(), own.data(), own.bytes());
    comm.barrier();
    const bool is_right = received == std::vector<float>(kFloats, static_cast<float>(other + 1)) &&
                          (rank == 0 || sums == std::vector<float>(kFloats, 2.0f));
    if (is_right) ++right;
  });
  return right == 2;
}

double seconds_of(const std::function<void()>& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

TEST_F(NcclRanks, EachCallMayFail) {
  // Asked until it is so, or made by the dozen.
  const std::set<std::string> many = {"ncclCommGetAsyncError", "cudaEventCreateWithFlags",
                                      "cudaEventDestroy"};
  const int64_t live = fake_cuda::count_live();
  fake_cuda::fail_call(fake_cuda::CallPlace{});
  ASSERT_TRUE(work_is_right());
  ASSERT_EQ(fake_cuda::count_live(), live);
  std::set<std::string> failed;
  for (const int gpu : {0, 1}) {
    fake_cuda::fail_call(fake_cuda::CallPlace{});
    work_is_right();
    for (const auto& counted : fake_cuda::count_calls_of(gpu)) {
      const std::string& name = counted.first;
      const int64_t calls = counted.second;
      if (name.starts_with("cublas")) continue;
      for (int64_t n = 1; n <= (many.contains(name) ? 3 : calls); ++n) {
        fake_cuda::fail_call(fake_cuda::CallPlace{name, n, gpu});
        std::string said;
        const double took_s = seconds_of([&] {
          try {
            EXPECT_TRUE(work_is_right()) << name << ' ' << n;
          } catch (const Error& error) {
            said = error.what();
          }
        });
        const std::string what =
            name + ' ' + std::to_string(n) + " of GPU " + std::to_string(gpu) + ": " + said;
        EXPECT_LT(took_s, 5) << what;
        EXPECT_EQ(said.find('\n'), std::string::npos) << what;
        EXPECT_TRUE(said.empty() || said.starts_with("CUDA: ") || said.starts_with("cuBLASLt: ") ||
                    said.starts_with("NCCL: ") || said.find("no NCCL: ") != std::string::npos)
            << what;
        EXPECT_EQ(fake_cuda::name_of_failed_call(), name) << what;
        EXPECT_EQ(fake_cuda::count_live(), live) << what;
        failed.insert(name);
      }
    }
  }
  for (const char* name :
       {"ncclGetVersion", "ncclGetUniqueId", "ncclCommInitRankConfig", "ncclCommGetAsyncError",
        "ncclCommFinalize", "ncclCommDestroy", "ncclGroupStart", "ncclGroupEnd", "ncclSend",
        "ncclRecv", "ncclBroadcast", "ncclReduce", "cudaStreamWaitEvent", "cudaEventRecord"}) {
    EXPECT_TRUE(failed.contains(name)) << name << " was never reached";
  }
}

std::string error_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// The others are in an exchange that waits for it, or wait for what comes of one.
TEST_F(NcclRanks, ARankThatDiesEndsTheOthersWithinSeconds) {
  const int64_t live = fake_cuda::count_live();
  for (const bool tells : {true, false}) {
    std::string said;
    const double took_s = seconds_of([&] {
      said = error_of([&] {
        run_ranks(4, [&](Comm& host) {
          const auto device = make_fake_gpu(DType::kF32, host.rank());
          const DeviceLink link = join_devices(host, *device, ExchangeBy::kDevices);
          const DeviceBuffer memory(*device, 4096);
          const auto body = [&] {
            const CommPiece piece{2, memory.data(), memory.bytes()};
            if (host.rank() == 2) throw Error("the disk is full");
            link.comm->wait(link.comm->all_gather({&piece, 1}));
            device->synchronize();
            for (;;) link.comm->wait(link.comm->all_gather({}));
          };
          tells ? fail_on_throw(*link.comm, body) : body();
        });
      });
    });
    EXPECT_EQ(said, "the disk is full");
    EXPECT_LT(took_s, 5);
    EXPECT_EQ(fake_cuda::count_live(), live);
  }
}

// Rank 0's host waits for its GPU, which waits for rank 1's.
TEST_F(NcclRanks, ANetworkThatBreaksEndsThem) {
  std::string said;
  std::atomic<bool> is_given = false;
  const double took_s = seconds_of([&] {
    said = error_of([&] {
      run_joined(2, [&](Comm& comm, Device& device) {
        const DeviceBuffer memory(device, 4096);
        const CommPiece piece{1, memory.data(), memory.bytes()};
        if (comm.rank() == 1) {
          while (!is_given) std::this_thread::yield();
          fake_cuda::break_network();
          comm.host().barrier();
        }
        comm.wait(comm.all_gather({&piece, 1}));
        is_given = true;
        device.synchronize();
        comm.wait(comm.all_gather({&piece, 1}));
      });
    });
  });
  EXPECT_NE(said.find("NCCL: work under way: \"an error of the fake NCCL\""), std::string::npos)
      << said;
  EXPECT_LT(took_s, 5);
}

TEST_F(NcclRanks, ARankThatDiesInTrainingEndsItWithItsReason) {
  exchange_ = ExchangeBy::kDevices;
  fake_cuda::fail_call(fake_cuda::CallPlace{"ncclSend", 3, 1});
  std::string said;
  EXPECT_LT(seconds_of([&] { said = error_of([&] { train_on(2); }); }), 20);
  EXPECT_EQ(said, "NCCL: sending: \"an error of the fake NCCL\"");
}

// ---- the self-test's part of it ----------------------------------------------------------------

LinkVerdict check_fake_link(int ranks) {
  return check_link(
      ranks, [](int place) { return make_fake_gpu(DType::kF32, place); }, 1000);
}

TEST_F(NcclRanks, PassTheSelfTest) {
  for (const int ranks : {2, 4}) {
    const LinkVerdict verdict = check_fake_link(ranks);
    EXPECT_EQ(verdict.faults, std::vector<std::string>());
    EXPECT_TRUE(verdict.way.starts_with("NCCL 2.")) << verdict.way;
    EXPECT_GT(verdict.exchange_bytes_per_s, 0);
    EXPECT_GT(verdict.gather_bytes_per_s, 0);
    EXPECT_GT(verdict.scatter_bytes_per_s, 0);
  }
  fake_cuda::show_devices(1);
  const LinkVerdict verdict = check_fake_link(2);
  EXPECT_EQ(verdict.faults, std::vector<std::string>());
  EXPECT_TRUE(verdict.way.starts_with("through the memory of the hosts: rank 0 and rank 1 "))
      << verdict.way;
}

TEST_F(NcclRanks, FailTheSelfTestWhereNumbersAreNotTheirs) {
  fake_cuda::fail_call(fake_cuda::CallPlace{"ncclReduce", 2, 1});
  EXPECT_EQ(check_fake_link(2).faults,
            std::vector<std::string>{"NCCL: a sum: \"an error of the fake NCCL\""});
  // What rank 0 has for rank 1 does not get there.
  fake_cuda::drop_call(fake_cuda::CallPlace{"cudaMemcpyAsync", 2, 0});
  const LinkVerdict wrong = check_fake_link(2);
  ASSERT_EQ(wrong.faults.size(), 1u);
  EXPECT_TRUE(wrong.faults[0].starts_with("exchange: rank 1 has ")) << wrong.faults[0];
}

// ---- what keeps ranks from it ------------------------------------------------------------------

// The way of two ranks, which both must say, or what both throw.
std::string way_of(ExchangeBy by, int ranks = 2) {
  std::vector<std::string> ways(static_cast<size_t>(ranks));
  run_ranks(ranks, [&](Comm& host) {
    std::string& way = ways[static_cast<size_t>(host.rank())];
    try {
      const auto device = make_fake_gpu(DType::kF32, host.rank());
      const DeviceLink link = join_devices(host, *device, by);
      way = (link.comm == nullptr ? "" : std::string(link.comm->name()) + ": ") + link.way;
    } catch (const Error& error) {
      way = error.what();
    }
  });
  for (const std::string& way : ways) EXPECT_EQ(way, ways[0]);
  return ways[0];
}

const std::string kThroughHosts = "threads: through the memory of the hosts";
const std::string kAdvice = "; use \"auto\"";

// Not the machine's name, which a message holds.
std::string without_host(std::string text) {
  const size_t on = text.find(" on \""), end = text.find("\" ", on + 5);
  return on == std::string::npos ? text : text.erase(on, end + 1 - on);
}

TEST_F(NcclRanks, UseItWhereEachHasAGpu) {
  EXPECT_TRUE(way_of(ExchangeBy::kAny).starts_with("nccl: NCCL 2."));
  EXPECT_TRUE(way_of(ExchangeBy::kDevices).starts_with("nccl: NCCL 2."));
  EXPECT_EQ(way_of(ExchangeBy::kHosts), kThroughHosts);
  EXPECT_EQ(way_of(ExchangeBy::kDevices, 1), "");
}

TEST_F(NcclRanks, OnOneGpuGoThroughTheHosts) {
  fake_cuda::show_devices(1);
  const std::string reason = "rank 0 and rank 1 share a GPU, which NCCL does not do";
  EXPECT_EQ(without_host(way_of(ExchangeBy::kAny)), kThroughHosts + ": " + reason);
  EXPECT_EQ(without_host(way_of(ExchangeBy::kDevices)),
            "track.exchange is \"nccl\", but " + reason + kAdvice);
}

TEST_F(NcclRanks, WithoutItGoThroughTheHosts) {
  ::setenv("PG_NCCL_LIBRARY", "libnccl_of_nobody.so", 1);
  const std::string way = without_host(way_of(ExchangeBy::kAny));
  EXPECT_TRUE(way.starts_with(kThroughHosts + ": rank 0 has no NCCL: \"libnccl_of_nobody.so: "))
      << way;
  EXPECT_EQ(way.find('\n'), std::string::npos);
  EXPECT_TRUE(way_of(ExchangeBy::kDevices).starts_with("track.exchange is \"nccl\", but rank 0"));
}

TEST_F(NcclRanks, WithAnOldOneGoThroughTheHosts) {
  for (const auto& [version, shown] : {std::pair{21003, "2.10.3"}, {2804, "2.8"}}) {
    fake_cuda::set_nccl_version(version);
    EXPECT_EQ(without_host(way_of(ExchangeBy::kAny)),
              kThroughHosts + ": rank 0 has NCCL " + shown + " is too old, 2.14.3 is the least");
  }
  fake_cuda::set_nccl_version(22809);
}

TEST_F(NcclRanks, OnGpusOfTwoKindsAreRefused) {
  fake_cuda::show_devices(2, "Fake A100");
  const std::string way = error_of([&] { train_on(2); });
  EXPECT_EQ(way,
            "CUDA: ranks on GPUs of different kinds, \"Fake H100\" and \"Fake A100\", would not "
            "agree; choose some of one kind with CUDA_VISIBLE_DEVICES");
}

TEST_F(NcclRanks, OfACpuDoNotHaveIt) {
  run_ranks(2, [&](Comm& host) {
    const auto device = make_device("cpu:exact");
    EXPECT_EQ(join_devices(host, *device).comm, nullptr);
    EXPECT_EQ(join_devices(host, *device, ExchangeBy::kHosts).comm, nullptr);
    EXPECT_EQ(error_of([&] { join_devices(host, *device, ExchangeBy::kDevices); }),
              "track.exchange is \"nccl\", but device \"cpu:exact\" is no GPU" + kAdvice);
  });
}

// ---- of several machines -----------------------------------------------------------------------

NcclFacts facts_of(const char* machine, char gpu, const char* refusal = "",
                   const char* version = "2.28.9", const char* kind = "H100") {
  NcclFacts facts;
  const auto put = [](auto& to, const char* text) { std::strcpy(to.data(), text); };
  put(facts.machine, machine);
  put(facts.refusal, refusal);
  put(facts.version, version);
  put(facts.gpu, kind);
  facts.gpu_id[0] = gpu;
  return facts;
}

TEST(NcclFacts, OfTwoMachines) {
  const auto find = [](std::vector<NcclFacts> facts) { return find_nccl_obstacle(facts); };
  EXPECT_EQ(find({facts_of("a", 1), facts_of("a", 2), facts_of("b", 1)}), "");
  EXPECT_EQ(find({facts_of("a", 1), facts_of("b", 1, "no NCCL: \"x\"")}),
            "rank 1 on \"b\" has no NCCL: \"x\"");
  EXPECT_EQ(find({facts_of("a", 1), facts_of("b", 1, "", "2.20.5")}),
            "NCCL 2.28.9 on rank 0 and 2.20.5 on rank 1");
  EXPECT_EQ(find({facts_of("a", 1), facts_of("b", 1), facts_of("b", 1)}),
            "rank 1 and rank 2 on \"b\" share a GPU, which NCCL does not do");
  EXPECT_EQ(error_of([&] {
              find({facts_of("a", 1), facts_of("b", 1, "", "2.28.9", "A100")});
            }),
            "ranks on GPUs of different kinds, \"H100\" on rank 0 and \"A100\" on rank 1, would "
            "not agree; choose machines with GPUs of one kind");
}

}  // namespace
}  // namespace pg
