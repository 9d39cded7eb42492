// Whether accesses to memory are ordered: vector clocks, one count for each host thread and stream, as in
// FastTrack (Flanagan and Freund 2009). What is found does not depend on the order in which work ran.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace pg::fake_cuda {

struct MemoryRange {
  const void* data = nullptr;
  size_t bytes = 0;
};

// How much of each timeline is over.
class Clock {
 public:
  uint64_t of(int timeline) const {
    const auto i = static_cast<size_t>(timeline);
    return i < counts_.size() ? counts_[i] : 0;
  }
  void join(const Clock& other);
  uint64_t tick(int timeline);

 private:
  std::vector<uint64_t> counts_;
};

// Memory of the GPUs and pinned memory: one range of addresses, so that what belongs to a byte is found
// at once. An address is used again only after many others, and never by who has been told of its end.
class OrderChecker {
 public:
  OrderChecker();
  ~OrderChecker();
  OrderChecker(const OrderChecker&) = delete;
  OrderChecker& operator=(const OrderChecker&) = delete;

  void* allocate(size_t bytes);
  // given_back_by: number of a piece.
  void release(void* memory, size_t bytes, uint32_t given_back_by);
  bool owns(const void* memory) const {
    return memory >= memory_ && memory < memory_ + kArenaBytes;
  }

  // Begins anew: what was before is in order.
  void watch(bool is_watched);
  bool is_watched() const { return is_watched_; }

  int add_timeline() { return timelines_++; }
  // Begins a piece of work on a timeline; `clock` gets one tick of it. Its number.
  uint32_t begin(int timeline, Clock& clock, const std::string& name);
  // By the piece that has the clock.
  void access(uint32_t piece, const Clock& clock, const void* at, size_t bytes, bool is_write);

  std::vector<std::string> take_faults();

 private:
  static constexpr size_t kArenaBytes = size_t{16} << 30;  // of addresses, not of memory
  static constexpr size_t kGranule = 4, kPage = 4096;
  // Of ranges longer than that their ends stand for the whole: filling 32 MiB would take most of a test.
  static constexpr size_t kWhole = size_t{1} << 20, kEnds = size_t{1} << 12;

  struct Piece {
    int timeline = 0;
    uint64_t time = 0;
    std::string name;
  };
  // Pieces by number; 0: none. More readers than one that nothing orders are in more_readers_.
  struct Cell {
    uint32_t writer = 0, reader = 0, more = 0;
  };
  bool is_before(uint32_t piece, const Clock& clock) const {
    const Piece& p = pieces_[piece];
    return clock.of(p.timeline) >= p.time;
  }
  void add_reader(Cell& cell, uint32_t piece, const Clock& clock);
  void report(uint32_t piece, const char* does, uint32_t other, const char* did);

  std::byte* memory_ = nullptr;
  Cell* cells_ = nullptr;           // [kArenaBytes / kGranule], pages of it that are touched
  uint32_t* given_back_ = nullptr;  // [kArenaBytes / kPage], the piece that did
  size_t used_ = 0;
  std::vector<std::vector<std::byte*>> free_;  // by the number of pages' bits; the oldest first
  bool is_watched_ = false;
  int timelines_ = 0;
  std::vector<Piece> pieces_ = {{}};
  std::vector<std::vector<uint32_t>> more_readers_ = {{}};
  std::vector<std::string> faults_;
  std::set<std::string> told_;
};

}  // namespace pg::fake_cuda
