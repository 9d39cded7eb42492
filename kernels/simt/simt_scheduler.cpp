// Who runs next, and what happens when threads meet at a barrier or a warp operation, or fail to.
#include <fmt/format.h>

#include <bit>
#include <cstring>
#include <map>
#include <string>

#include "kernels/simt/simt_state.h"

namespace pg::simt {
namespace {

char absent_payload;  // its address stands for the payload of __syncwarp()

bool is_same(Site a, Site b) {
  return a.line == b.line && (a.file == b.file || std::strcmp(a.file, b.file) == 0);
}

}  // namespace

std::string to_text(Site site) { return fmt::format("{}:{}", site.file, site.line); }
std::string to_text(uint3 v) { return fmt::format("({},{},{})", v.x, v.y, v.z); }

void Executor::fail(const std::string& what) const {
  throw LaunchError(
      fmt::format("{}; thread {} of block {}", what, to_text(threadIdx), to_text(blockIdx)));
}

Moment Executor::moment() const {
  return {.thread = static_cast<unsigned>(current_),
          .interval = interval_,
          .block_interval = block_interval_,
          .step = warps_[static_cast<size_t>(current_) / kWarpLanes].step,
          .barrier = last_barrier_};
}

// ---- choosing who runs ------------------------------------------------------------------------

void Executor::make_ready(int index) {
  lanes_[static_cast<size_t>(index)].state = LaneState::kReady;
  warp_of(index).ready |= 1u << (static_cast<unsigned>(index) % kWarpLanes);
}

// First ready lane at or after `start`, cyclically.
int Executor::ready_from(int start) const {
  const size_t count = warps_.size();
  size_t warp = static_cast<size_t>(start) / kWarpLanes;
  uint32_t ready = warps_[warp].ready & (~0u << (static_cast<unsigned>(start) % kWarpLanes));
  for (size_t k = 0; k <= count; ++k) {
    if (ready != 0) return static_cast<int>(warp * kWarpLanes) + std::countr_zero(ready);
    warp = warp + 1 == count ? 0 : warp + 1;
    ready = warps_[warp].ready;
  }
  return kNobody;
}

// First ready lane at or before `start`, cyclically.
int Executor::ready_down_from(int start) const {
  const size_t count = warps_.size();
  size_t warp = static_cast<size_t>(start) / kWarpLanes;
  uint32_t ready = warps_[warp].ready & (~0u >> (31 - static_cast<unsigned>(start) % kWarpLanes));
  for (size_t k = 0; k <= count; ++k) {
    if (ready != 0) return static_cast<int>(warp * kWarpLanes) + 31 - std::countl_zero(ready);
    warp = warp == 0 ? count - 1 : warp - 1;
    ready = warps_[warp].ready;
  }
  return kNobody;
}

int Executor::pick_next() {
  int next = kNobody;
  switch (options.schedule) {
    case Schedule::kForward:
      next = ready_from(cursor_ + 1 == count_ ? 0 : cursor_ + 1);
      break;
    case Schedule::kReverse:
      next = ready_down_from(cursor_ == 0 ? count_ - 1 : cursor_ - 1);
      break;
    case Schedule::kRandom:
      next = ready_from(static_cast<int>(rng_() % static_cast<uint64_t>(count_)));
      break;
    case Schedule::kGreedy: {
      const Warp* best = nullptr;
      for (const Warp& warp : warps_) {
        if (warp.ready != 0 && (best == nullptr || warp.priority > best->priority)) best = &warp;
      }
      if (best != nullptr) next = ready_from(static_cast<int>((best - warps_.data()) * kWarpLanes));
      break;
    }
  }
  if (next != kNobody) cursor_ = next;
  return next;
}

// Suspends the current lane until a collective makes it ready again.
void Executor::wait(LaneState state) {
  current().state = state;
  switch_to(pick_next());
}

// ---- collectives ------------------------------------------------------------------------------

void Executor::release_barrier() {
  barrier_.result = barrier_.votes;
  barrier_.arrived = barrier_.votes = 0;
  last_barrier_ = barrier_.where;
  ++interval_;
  for (int i = 0; i < count_; ++i) {
    if (lanes_[static_cast<size_t>(i)].state == LaneState::kAtBarrier) make_ready(i);
  }
}

int Executor::block_barrier(bool predicate, Site site) {
  if (live_ < count_ && !options.allow_early_exit) {
    fail(fmt::format("barrier at {} after {} threads of the block have exited", to_text(site),
                     count_ - live_));
  }
  if (barrier_.arrived == 0) {
    barrier_.where = site;
  } else if (!is_same(barrier_.where, site)) {
    fail(fmt::format("divergent barriers: {} while others wait at {}", to_text(site),
                     to_text(barrier_.where)));
  }
  barrier_.votes += predicate;
  if (++barrier_.arrived == live_) {
    release_barrier();
  } else {
    wait(LaneState::kAtBarrier);
  }
  return barrier_.result;
}

void Executor::complete(Warp& warp, int warp_index, size_t operation) {
  const WarpOperation done = warp.pending[operation];
  warp.pending[operation] = warp.pending.back();
  warp.pending.pop_back();
  if (done.payloads[static_cast<size_t>(std::countr_zero(done.arrived))] == &absent_payload) {
    ++warp.step;  // other warp operations order no memory accesses
  }
  done.function(done.payloads.data());
  for (uint32_t left = done.arrived; left != 0; left &= left - 1) {
    const int index = warp_index * static_cast<int>(kWarpLanes) + std::countr_zero(left);
    if (lanes_[static_cast<size_t>(index)].state == LaneState::kAtWarpOperation) make_ready(index);
  }
}

void Executor::warp_collective(uint32_t mask, WarpFunction function, void* payload, Site site) {
  const int warp_index = current_ / static_cast<int>(kWarpLanes);
  const unsigned lane = lane_index();
  Warp& warp = warp_of(current_);
  if ((mask >> lane & 1) == 0) {
    fail(fmt::format("mask {:#010x} at {} does not name the calling lane {}", mask, to_text(site),
                     lane));
  }
  // Lanes beyond the end of the block never existed; a full mask may name them.
  if ((mask & warp.started & ~warp.alive) != 0 && !options.allow_early_exit) {
    fail(fmt::format("mask {:#010x} at {} names lanes that have exited; alive are {:#010x}", mask,
                     to_text(site), warp.alive));
  }
  size_t operation = 0;
  while (operation < warp.pending.size() && warp.pending[operation].mask != mask) ++operation;
  if (operation == warp.pending.size()) {
    warp.pending.push_back({.mask = mask, .function = function, .where = site});
  }
  WarpOperation& pending = warp.pending[operation];
  if (pending.function != function || !is_same(pending.where, site)) {
    fail(fmt::format("divergent warp operations of mask {:#010x}: {} while others wait at {}", mask,
                     to_text(site), to_text(pending.where)));
  }
  pending.payloads[lane] = payload != nullptr ? payload : &absent_payload;
  pending.arrived |= 1u << lane;
  if (pending.arrived == (mask & warp.alive)) {
    complete(warp, warp_index, operation);
  } else {
    wait(LaneState::kAtWarpOperation);
  }
}

// The current lane's kernel has returned; others may have waited for it.
void Executor::end_lane() {
  Warp& warp = warp_of(current_);
  current().state = LaneState::kDone;
  warp.alive &= ~(1u << lane_index());
  --live_;
  for (size_t i = warp.pending.size(); i-- > 0;) {
    const WarpOperation& pending = warp.pending[i];
    if ((pending.mask >> lane_index() & 1) == 0) continue;
    if (!options.allow_early_exit) {
      fail(fmt::format("exit while others wait at {} with mask {:#010x}", to_text(pending.where),
                       pending.mask));
    }
    if (pending.arrived == (pending.mask & warp.alive)) {
      complete(warp, current_ / static_cast<int>(kWarpLanes), i);
    }
  }
  if (barrier_.arrived == 0) return;
  if (!options.allow_early_exit) {
    fail(fmt::format("exit while others wait at the barrier {}", to_text(barrier_.where)));
  }
  if (barrier_.arrived == live_) release_barrier();
}

std::string Executor::describe_stuck() const {
  std::map<std::string, int> waiting;
  for (const Warp& warp : warps_) {
    for (const WarpOperation& pending : warp.pending) {
      const std::string place = fmt::format("the warp operation {} with mask {:#010x}",
                                            to_text(pending.where), pending.mask);
      waiting[place] += std::popcount(pending.arrived);
    }
  }
  if (barrier_.arrived > 0) {
    waiting[fmt::format("the barrier {}", to_text(barrier_.where))] = barrier_.arrived;
  }
  std::string text;
  for (const auto& [place, threads] : waiting) {
    text += fmt::format("{}{} wait at {}", text.empty() ? "" : ", ", threads, place);
  }
  return fmt::format("no thread can go on: {}; block {}", text, to_text(blockIdx));
}

}  // namespace pg::simt
