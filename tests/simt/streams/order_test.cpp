// The stand-in for streams finds what it is for, and nothing else: work of two streams, a host and a
// graph, with and without what orders it.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "tests/simt/fake_cuda/fake_cuda.h"

namespace pg {
namespace {

using fake_cuda::Order;

// A call, and not what the compiler makes of one of a known size.
void copy_by_host(void* to, const void* from, size_t bytes) {
  const volatile size_t unknown = bytes;
  std::memcpy(to, from, unknown);
}

class StreamOrder : public testing::TestWithParam<Order> {
 protected:
  StreamOrder() {
    cudaSetDevice(0);
    fake_cuda::order_streams(GetParam(), 7);
    fake_cuda::watch_order(true);
    for (cudaStream_t& stream : streams_) cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    cudaEventCreateWithFlags(&event_, cudaEventDisableTiming);
    for (void*& memory : memory_) cudaMalloc(&memory, kBytes);
    cudaMallocHost(&pinned_, kBytes);
  }
  ~StreamOrder() override {
    for (void* const memory : memory_) cudaFree(memory);
    cudaFreeHost(pinned_);
    for (const cudaStream_t stream : streams_) cudaStreamDestroy(stream);
    cudaEventDestroy(event_);
    fake_cuda::watch_order(false);
    fake_cuda::order_streams(Order::kAtOnce);
  }
  void fill(void* memory, size_t stream) { cudaMemsetAsync(memory, 1, kBytes, streams_[stream]); }
  void copy(void* to, const void* from, size_t stream) {
    cudaMemcpyAsync(to, from, kBytes, cudaMemcpyDeviceToDevice, streams_[stream]);
  }
  void let_wait(size_t stream, size_t for_stream) {
    cudaEventRecord(event_, streams_[for_stream]);
    cudaStreamWaitEvent(streams_[stream], event_, 0);
  }
  // All of it, after the streams are empty.
  std::vector<std::string> faults() {
    for (const cudaStream_t stream : streams_) cudaStreamSynchronize(stream);
    return fake_cuda::take_faults();
  }

  static constexpr size_t kBytes = 64;
  std::array<cudaStream_t, 2> streams_;
  std::array<void*, 2> memory_;
  void* pinned_ = nullptr;
  cudaEvent_t event_ = nullptr;
};

using Faults = std::vector<std::string>;
const std::string kFilling = "\"filling of 64 bytes on stream 0 of GPU 0\"";
const std::string kCopy = "\"copy of 64 bytes on stream 1 of GPU 0\"";

// Of two pieces either may run first, and is named so.
void expect_one_of(const Faults& got, const std::string& a, const std::string& b) {
  ASSERT_EQ(got.size(), 1u);
  EXPECT_TRUE(got[0] == a || got[0] == b) << got[0];
}

TEST_P(StreamOrder, AMissingEventIsFoundWithBothNames) {
  fill(memory_[0], 0);
  copy(memory_[1], memory_[0], 1);
  expect_one_of(faults(), kCopy + " reads what " + kFilling + " writes: nothing orders them",
                kFilling + " writes what " + kCopy + " reads: nothing orders them");
}

TEST_P(StreamOrder, AnEventThatIsWaitedForOrdersThem) {
  fill(memory_[0], 0);
  let_wait(1, 0);
  copy(memory_[1], memory_[0], 1);
  let_wait(0, 1);
  fill(memory_[0], 0);  // when it has been read
  EXPECT_EQ(faults(), Faults());
}

TEST_P(StreamOrder, AnEventThatIsRecordedTooEarlyDoesNot) {
  let_wait(1, 0);
  fill(memory_[0], 0);
  copy(memory_[1], memory_[0], 1);
  EXPECT_EQ(faults().size(), 1u);
}

TEST_P(StreamOrder, WhatIsWrittenWhileItIsReadIsFound) {
  fill(memory_[0], 0);
  let_wait(1, 0);
  copy(memory_[1], memory_[0], 1);
  fill(memory_[0], 0);
  expect_one_of(faults(), kFilling + " writes what " + kCopy + " reads: nothing orders them",
                kCopy + " reads what " + kFilling + " writes: nothing orders them");
}

TEST_P(StreamOrder, OtherMemoryNeedsNoOrder) {
  fill(memory_[0], 0);
  fill(memory_[1], 1);
  EXPECT_EQ(faults(), Faults());
}

TEST_P(StreamOrder, AWaitOfTheHostOrdersThem) {
  fill(memory_[0], 0);
  cudaStreamSynchronize(streams_[0]);
  copy(memory_[1], memory_[0], 1);
  EXPECT_EQ(faults(), Faults());
}

TEST_P(StreamOrder, ADownloadThatIsReadBeforeItsEventIsFound) {
  for (const bool waits : {true, false}) {
    std::array<char, kBytes> values;
    fill(memory_[0], 0);
    cudaMemcpyAsync(pinned_, memory_[0], kBytes, cudaMemcpyDeviceToHost, streams_[0]);
    cudaEventRecord(event_, streams_[0]);
    if (waits) cudaEventSynchronize(event_);
    copy_by_host(values.data(), pinned_, kBytes);
    const Faults found = faults();
    if (waits) {
      EXPECT_EQ(found, Faults());
      EXPECT_EQ(values[3], 1);
    } else {
      ASSERT_EQ(found.size(), 1u);
      EXPECT_NE(found[0].find("\"a host's copy\""), std::string::npos) << found[0];
      EXPECT_NE(found[0].find("\"download of 64 bytes on stream 0 of GPU 0\""), std::string::npos);
    }
  }
}

TEST_P(StreamOrder, AGraphThatUsesMemoryThatIsGivenBackIsFound) {
  void* memory = nullptr;
  cudaMalloc(&memory, kBytes);
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  cudaStreamBeginCapture(streams_[0], cudaStreamCaptureModeThreadLocal);
  fill(memory, 0);
  cudaStreamEndCapture(streams_[0], &graph);
  cudaGraphInstantiate(&executable, graph, 0);
  cudaGraphDestroy(graph);
  cudaGraphLaunch(executable, streams_[0]);
  EXPECT_EQ(faults(), Faults());
  cudaFree(memory);
  cudaGraphLaunch(executable, streams_[0]);
  EXPECT_EQ(faults(), Faults({"\"filling of 64 bytes of a graph on stream 0 of GPU 0\" writes what "
                              "\"cudaFree\" has given back"}));
  cudaGraphExecDestroy(executable);
}

INSTANTIATE_TEST_SUITE_P(Each, StreamOrder,
                         testing::Values(Order::kFirstGiven, Order::kLastGiven,
                                         Order::kComputeFirst, Order::kSideFirst, Order::kRandom));

// The same numbers without what orders them, under some order: values alone show it too.
TEST(StreamOrders, ChangeWhatIsNotOrdered) {
  std::set<int> seen;
  for (const Order order : {Order::kComputeFirst, Order::kSideFirst}) {
    cudaSetDevice(0);
    fake_cuda::order_streams(order);
    std::array<cudaStream_t, 2> streams;
    for (cudaStream_t& stream : streams) cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    void* memory = nullptr;
    cudaMalloc(&memory, 1);
    cudaMemsetAsync(memory, 1, 1, streams[0]);
    cudaMemsetAsync(memory, 2, 1, streams[1]);
    unsigned char value = 0;
    for (const cudaStream_t stream : streams) cudaStreamSynchronize(stream);
    cudaMemcpyAsync(&value, memory, 1, cudaMemcpyDeviceToHost, streams[0]);
    seen.insert(value);
    cudaFree(memory);
    for (const cudaStream_t stream : streams) cudaStreamDestroy(stream);
  }
  fake_cuda::order_streams(Order::kAtOnce);
  EXPECT_EQ(seen.size(), 2u);
}

}  // namespace
}  // namespace pg
