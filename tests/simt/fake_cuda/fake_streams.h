// Streams, events and the order in which what was given to them runs: behind the calls of fake_cudart.cpp,
// apart from CUDA's headers, whose dim3 is not the executor's.
#pragma once
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "tests/simt/fake_cuda/fake_cuda.h"
#include "tests/simt/fake_cuda/fake_state.h"

namespace pg::fake_cuda {

// What a stream has come to, when it comes there.
struct Record {
  bool is_done = false;
  Clock clock;
};

struct Task {
  uint64_t number = 0;  // in the order of giving
  Clock host;           // what was behind who gave it
  std::string name;
  Work work;
  std::shared_ptr<Record> record;   // to make
  std::shared_ptr<Record> awaited;  // to be done first
  std::shared_ptr<Meeting> meeting;
};

}  // namespace pg::fake_cuda

struct CUstream_st {
  int device = 0;
  int place = 0;  // among its device's streams, in the order of making
  int timeline = 0;
  std::string name;
  std::deque<pg::fake_cuda::Task> tasks;
  pg::fake_cuda::Clock clock;
  bool is_recording = false;
  std::vector<pg::fake_cuda::Work> recorded;
};

struct CUevent_st {
  std::shared_ptr<pg::fake_cuda::Record> last;  // null: never recorded
  bool is_asked_about = false;
};

namespace pg::fake_cuda {

OrderChecker& checker();
// Chooses the thread's device; its launches go to their streams from then on.
void begin_thread(int device);
int device_of_thread();

::CUstream_st* make_stream();
void end_stream(::CUstream_st* stream);  // drops what cannot run any more
// Streams that are there; a call with another is wrong.
bool is_stream(const ::CUstream_st* stream);
bool is_thread_recording();

void give_record(::CUstream_st* stream, ::CUevent_st* event);
void give_wait(::CUstream_st* stream, const ::CUevent_st* event);
std::vector<Work> take_recorded(::CUstream_st* stream);

// Runs what may run until it is so; false where nothing can make it so any more. What is done then is
// behind the calling thread.
bool run_until_empty(::CUstream_st* stream);
bool run_until_done(const std::shared_ptr<Record>& record);
bool run_until_idle(int device);
// One piece more, for a host that asks and does not wait.
void run_some();

// An access by the calling thread itself.
void note_host_access(const char* name, const void* at, size_t bytes, bool is_write);
// A piece of work of the calling thread: its number.
uint32_t begin_host_piece(const std::string& name);

}  // namespace pg::fake_cuda
