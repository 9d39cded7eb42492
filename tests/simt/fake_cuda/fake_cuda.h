// A CUDA runtime, a cuBLASLt and an NCCL on the host, for running src/device/cuda/gpu/cuda_runtime.cpp and
// src/device/comm/nccl as they are: memory that must be the device's or the host's as a copy says, streams
// whose work runs at once or later in any order that streams and events allow (Order), events that are
// not done when they are first asked about, graphs of recorded launches, products by columns as the
// descriptors say, ranks that meet. Any call can be made to fail, or to do nothing. Several threads
// may call, each with a GPU of its own.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace pg::fake_cuda {

// The call of that number from now on fails, counted from 1; 0: none does.
void fail_call(int64_t number);
// Calls since then, and the name of the one that failed; empty when none has.
int64_t count_calls();
std::string name_of_failed_call();

// One call of a thread that has chosen a GPU: its name, the how many-th since then, from 1, of that GPU's.
struct CallPlace {
  std::string name;
  int64_t number = 0;
  int gpu = 0;
};
void fail_call(const CallPlace& place);
// It says that all is well and does nothing: a seeded bug of who left it out.
void drop_call(const CallPlace& place);
// Calls by name since then, of the GPU.
std::map<std::string, int64_t> count_calls_of(int gpu);

// The build has no code for the GPU: no kernel can be launched.
void lack_code(bool lacks);
// Recordings of graphs end with nothing, as of a driver that refuses.
void refuse_graphs(bool refuses);
int64_t count_graph_launches();  // of this process

inline constexpr int kDevices = 4;
int current_device();  // of this thread
// How many GPUs there are, and what kind the last of them is.
void show_devices(int count, const std::string& last_kind = "Fake H100");
void set_nccl_version(int version);
void break_network();  // of the ranks that have joined: they hear of it in the background

// What has been made and not given back: memory, streams, events, graphs, handles.
int64_t count_live();

// When work runs that has been given. But for kAtOnce it runs only when a host waits for it or asks.
// Of what may run next: what was given first, or last; what is on a GPU's first stream, or on its others;
// any.
enum class Order : uint8_t { kAtOnce, kFirstGiven, kLastGiven, kComputeFirst, kSideFirst, kRandom };
void order_streams(Order order, uint64_t seed = 1);

// Streams that somebody has not given back, and what is on them.
void end_all_streams();

// From now on each access of work and of hosts to the memory of GPUs and to pinned memory is held against
// those before it: two, one of them a write, must be ordered by a stream, an event or a wait. Kernels'
// are seen where they are compiled with hooks (simt_races.h), hosts' where memcpy is wrapped.
void watch_order(bool is_watched);
// What was not in order so far, each pair of names once: "... reads what ... writes".
std::vector<std::string> take_faults();

}  // namespace pg::fake_cuda
