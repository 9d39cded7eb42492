// What the stand-ins share: failing calls, memory, streams and what runs on them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "tests/simt/fake_cuda/order_checker.h"

struct CUstream_st;

namespace pg::fake_cuda {

// Everything here, and every call of the stand-ins, is one thread's at a time. Waits let it go.
std::recursive_mutex& world();

enum class CallFate : uint8_t { kDo, kFail, kDrop };
CallFate count_call(const char* call);
// Whether this call is the one to fail.
inline bool is_to_fail(const char* call) { return count_call(call) == CallFate::kFail; }

// What a launch ends with, as the next cudaGetLastError() says.
bool is_launch_refused();

void add_live(int64_t count);
// Whether all these bytes are of one allocation of this thread's device.
bool is_of_device(const void* memory, size_t bytes);
bool is_of_device(const void* memory, size_t bytes, int device);

// ---- work -----------------------------------------------------------------------------------

struct Work {
  std::string name;
  std::vector<MemoryRange> reads, writes;  // besides what a kernel's hooks tell
  std::function<void()> run;
};
// On the stream, or into the graph that is recorded of it.
void give(::CUstream_st* stream, Work work);
// The same on the stream that this thread was given last, as work that touches no memory it knows of.
void give(std::function<void()> work);

// Work of several streams that runs when all of its parts are next on theirs.
class Meeting {
 public:
  virtual ~Meeting() = default;
  virtual bool is_complete() = 0;
  // `clock`: what is behind the stream's part; gets what is behind the end of it.
  virtual void run(int timeline, Clock& clock) = 0;
};
void give(::CUstream_st* stream, std::string name, std::shared_ptr<Meeting> meeting);
// Whether it is next on its stream, and then what is behind it there.
bool is_next(const ::CUstream_st* stream, const Meeting& meeting, Clock& clock);
int timeline_of(const ::CUstream_st* stream);

// Something has happened that others may wait for.
void announce();

}  // namespace pg::fake_cuda
