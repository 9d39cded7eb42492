// Starts the ranks that this process serves.
#pragma once
#include <exception>
#include <functional>

#include "src/device/comm/comm.h"

namespace pg {

// Runs body(comm) for each of `ranks` ranks, on a thread each, rank 0 on the caller's; returns when
// all are over. The threads of thread_count() are divided among them, at least one each
// (OwnThreads). When a body throws, the others' Comm throws as well, and the first failure is thrown
// here. One rank is a plain call.
//
// A body's buffers are gone when its exception arrives here, and others may still copy from them:
// code with operations in flight tells its failure earlier, by fail_on_throw() inside the scope of
// its buffers.
void run_ranks(int ranks, const std::function<void(Comm&)>& body);

// How many of `threads` the rank `place` of `ranks` that share them uses.
int divide_threads(int threads, int ranks, int place);

// Runs body(); what it throws is told to the other ranks and goes on.
template <class Body>
void fail_on_throw(Comm& comm, const Body& body) {
  try {
    body();
  } catch (const std::exception& error) {
    comm.fail(error.what());
    throw;
  } catch (...) {
    comm.fail("an unknown exception");
    throw;
  }
}

}  // namespace pg
