// A cell for each byte of shared memory holds who touched it last, as the Linux kernel's KCSAN and
// every vector-clock checker do; intervals between barriers make one clock do for a block.
#include "kernels/simt/simt_races.h"

#include <fmt/format.h>

#include <bit>
#include <cstdint>
#include <unordered_map>
#include <utility>

#include "kernels/simt/simt_executor.h"

// The linker's names for the ends of what holds static __shared__ arrays: a section of their own, and
// the program's zeroed memory, because g++ leaves those of template kernels there.
extern "C" {
[[gnu::weak]] extern char __start_pg_shared[];
[[gnu::weak]] extern char __stop_pg_shared[];
[[gnu::weak]] extern char __bss_start[];
[[gnu::weak]] extern char _end[];
}

namespace pg::simt {
namespace {

// Accesses of one byte. Intervals start at 1: 0 stands for never.
struct Cell {
  uint64_t write_interval = 0, write_step = 0;
  uint64_t read_interval = 0, read_step = 0;
  unsigned writer = 0;
  unsigned reading_warp = 0;       // the first to read in the interval
  uint32_t reading_lanes = 0;      // of it, in its last step
  bool is_read_by_others = false;  // by other warps too
};

struct Checker {
  std::unordered_map<uintptr_t, Cell> cells;  // by address
  std::string race;
  bool is_watching = false;
  AccessListener listener = nullptr;

  void report(const Moment& now, const std::string& what) {
    if (!race.empty()) return;
    race = fmt::format("shared memory: thread {} {}; ", now.thread, what);
    if (now.barrier.line == 0) {
      race += "no barrier yet";
    } else {
      race += fmt::format("last barrier at {}:{}", now.barrier.file, now.barrier.line);
    }
  }

  void read(Cell& cell, const Moment& now) {
    const unsigned warp = now.thread / kWarpLanes;
    if (cell.write_interval < now.block_interval) {
      report(now, "reads what no thread of the block has written");
    }
    if (cell.read_interval != now.interval) {
      cell.reading_warp = warp;
      cell.reading_lanes = 0;
      cell.is_read_by_others = false;
    }
    cell.read_interval = now.interval;
    if (cell.reading_warp != warp) {
      cell.is_read_by_others = true;
      return;
    }
    if (cell.read_step != now.step) cell.reading_lanes = 0;
    cell.read_step = now.step;
    cell.reading_lanes |= 1u << (now.thread % kWarpLanes);
  }

  void write(Cell& cell, const Moment& now) {
    const unsigned warp = now.thread / kWarpLanes;
    if (cell.read_interval == now.interval) {
      uint32_t others = cell.reading_lanes;  // that read it with nothing to order that and this
      if (cell.reading_warp == warp) {
        others = cell.read_step == now.step ? others & ~(1u << (now.thread % kWarpLanes)) : 0;
      }
      if (others != 0) {
        report(now, fmt::format("overwrites what thread {} has read",
                                cell.reading_warp * kWarpLanes +
                                    static_cast<unsigned>(std::countr_zero(others))));
      } else if (cell.is_read_by_others) {
        report(now, "overwrites what another warp has read");
      }
    }
    cell.write_interval = now.interval;
    cell.write_step = now.step;
    cell.writer = now.thread;
  }
};

Checker& checker() {
  static Checker instance;
  return instance;
}

bool lies_in(const char* address, const void* memory, size_t bytes) {
  const char* const begin = static_cast<const char*>(memory);
  return address >= begin && address < begin + bytes;
}

bool is_shared(const char* address) {
  if (lies_in(address, dynamic_shared(), dynamic_shared_bytes())) return true;
  if (address >= __start_pg_shared && address < __stop_pg_shared) return true;
  return address >= __bss_start && address < _end &&
         !lies_in(address, &threadIdx, sizeof threadIdx) &&
         !lies_in(address, &blockIdx, sizeof blockIdx) &&
         !lies_in(address, &blockDim, sizeof blockDim) &&
         !lies_in(address, &gridDim, sizeof gridDim);
}

}  // namespace

void note_access(const void* at, size_t bytes, bool is_write) {
  const char* const address = static_cast<const char*>(at);
  Checker& c = checker();
  if (!is_in_kernel()) return;
  if (!is_shared(address)) {
    if (c.listener != nullptr) c.listener(at, bytes, is_write);
    return;
  }
  if (!c.is_watching) return;
  const Moment now = current_moment();
  for (size_t i = 0; i < bytes; ++i) {
    Cell& cell = c.cells[reinterpret_cast<uintptr_t>(address + i)];
    if (cell.write_interval == now.interval && cell.writer != now.thread &&
        (cell.writer / kWarpLanes != now.thread / kWarpLanes || cell.write_step == now.step)) {
      c.report(now, fmt::format("{} what thread {} has written", is_write ? "overwrites" : "reads",
                                cell.writer));
    }
    is_write ? c.write(cell, now) : c.read(cell, now);
  }
}

void listen_to_accesses(AccessListener listener) { checker().listener = listener; }
void watch_accesses(bool are_watched) { checker().is_watching = are_watched; }
bool are_accesses_watched() { return checker().is_watching; }

std::string take_race() { return std::exchange(checker().race, ""); }

}  // namespace pg::simt
