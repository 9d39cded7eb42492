#include "tests/simt/fake_cuda/order_checker.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <new>
#include <utility>

namespace pg::fake_cuda {
namespace {

template <class T>
T* reserve(size_t bytes) {
  void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return static_cast<T*>(memory);
}

// Blocks are powers of two of pages, so that one that is free fits.
size_t block_class(size_t bytes) {
  constexpr size_t kPageBytes = 4096;
  const size_t pages = std::max<size_t>((bytes + kPageBytes - 1) / kPageBytes, 1);
  return static_cast<size_t>(std::bit_width(pages - 1));
}

}  // namespace

void Clock::join(const Clock& other) {
  if (counts_.size() < other.counts_.size()) counts_.resize(other.counts_.size());
  for (size_t i = 0; i < other.counts_.size(); ++i) {
    counts_[i] = std::max(counts_[i], other.counts_[i]);
  }
}

uint64_t Clock::tick(int timeline) {
  const auto i = static_cast<size_t>(timeline);
  if (counts_.size() <= i) counts_.resize(i + 1);
  return ++counts_[i];
}

OrderChecker::OrderChecker()
    : memory_(reserve<std::byte>(kArenaBytes)),
      cells_(reserve<Cell>(kArenaBytes / kGranule * sizeof(Cell))),
      given_back_(reserve<uint32_t>(kArenaBytes / kPage * sizeof(uint32_t))),
      free_(64) {}

OrderChecker::~OrderChecker() {
  ::munmap(memory_, kArenaBytes);
  ::munmap(cells_, kArenaBytes / kGranule * sizeof(Cell));
  ::munmap(given_back_, kArenaBytes / kPage * sizeof(uint32_t));
}

void* OrderChecker::allocate(size_t bytes) {
  constexpr size_t kKept = 16;  // blocks that stay empty for a while
  const size_t kind = block_class(bytes);
  const size_t block = kPage << kind;
  std::vector<std::byte*>& free = free_[kind];
  std::byte* made = nullptr;
  if (free.size() > kKept) {
    made = free.front();
    free.erase(free.begin());
    const auto at = static_cast<size_t>(made - memory_);
    ::madvise(cells_ + at / kGranule, block / kGranule * sizeof(Cell), MADV_DONTNEED);
    std::fill_n(given_back_ + at / kPage, block / kPage, 0u);
  } else {
    if (used_ + block > kArenaBytes) throw std::bad_alloc();
    made = memory_ + used_;
    used_ += block;
  }
  return made;
}

void OrderChecker::release(void* memory, size_t bytes, uint32_t given_back_by) {
  auto* const block = static_cast<std::byte*>(memory);
  const size_t kind = block_class(bytes);
  const auto at = static_cast<size_t>(block - memory_);
  std::fill_n(given_back_ + at / kPage, (kPage << kind) / kPage, given_back_by);
  ::madvise(block, kPage << kind, MADV_DONTNEED);
  free_[kind].push_back(block);
}

uint32_t OrderChecker::begin(int timeline, Clock& clock, const std::string& name) {
  const uint64_t time = clock.tick(timeline);
  if (!is_watched_) return 0;
  pieces_.push_back({timeline, time, name});
  return static_cast<uint32_t>(pieces_.size() - 1);
}

void OrderChecker::access(uint32_t piece, const Clock& clock, const void* at, size_t bytes,
                          bool is_write) {
  if (!is_watched_ || piece == 0 || bytes == 0 || !owns(at)) return;
  if (bytes > kWhole) {
    const auto* const end = static_cast<const std::byte*>(at) + bytes - kEnds;
    access(piece, clock, at, kEnds, is_write);
    return access(piece, clock, end, kEnds, is_write);
  }
  const auto first = static_cast<size_t>(static_cast<const std::byte*>(at) - memory_);
  if (const uint32_t by = given_back_[first / kPage]; by != 0) {
    return report(piece, is_write ? "writes" : "reads", by, "has given back");
  }
  for (size_t i = first / kGranule; i <= (first + bytes - 1) / kGranule; ++i) {
    Cell& cell = cells_[i];
    if (cell.writer != piece && cell.writer != 0 && !is_before(cell.writer, clock)) {
      report(piece, is_write ? "writes" : "reads", cell.writer, "writes");
    }
    if (!is_write) {
      add_reader(cell, piece, clock);
      continue;
    }
    if (cell.reader != 0 && cell.reader != piece && !is_before(cell.reader, clock)) {
      report(piece, "writes", cell.reader, "reads");
    }
    for (const uint32_t reader : more_readers_[cell.more]) {
      if (reader != piece && !is_before(reader, clock)) report(piece, "writes", reader, "reads");
    }
    cell = {piece, 0, 0};
  }
}

void OrderChecker::add_reader(Cell& cell, uint32_t piece, const Clock& clock) {
  if (cell.reader == 0 || cell.reader == piece || is_before(cell.reader, clock)) {
    cell.reader = piece;
    return;
  }
  if (cell.more == 0) {
    cell.more = static_cast<uint32_t>(more_readers_.size());
    more_readers_.emplace_back();
  }
  std::vector<uint32_t>& more = more_readers_[cell.more];
  if (more.empty() || more.back() != piece) more.push_back(piece);
}

void OrderChecker::report(uint32_t piece, const char* does, uint32_t other, const char* did) {
  std::string fault = '"' + pieces_[piece].name + "\" " + does + " what \"" + pieces_[other].name +
                      "\" " + did + ": nothing orders them";
  if (std::string_view(did) == "has given back") {
    fault.resize(fault.rfind(':'));
  }
  if (told_.insert(fault).second) faults_.push_back(std::move(fault));
}

void OrderChecker::watch(bool is_watched) {
  is_watched_ = is_watched;
  ::madvise(cells_, used_ / kGranule * sizeof(Cell), MADV_DONTNEED);
  std::fill_n(given_back_, used_ / kPage, 0u);
  pieces_.resize(1);
  more_readers_.resize(1);
  told_.clear();
  faults_.clear();
}

std::vector<std::string> OrderChecker::take_faults() {
  told_.clear();
  return std::exchange(faults_, {});
}

}  // namespace pg::fake_cuda
