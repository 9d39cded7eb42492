// Barriers, warp operations, tensor cores, branches and calls; PTX ISA 9.0, 9.7.12 to 9.7.14. Threads
// meet in the fiber executor, which checks that they do so as a GPU needs it.
#include <bit>
#include <string>
#include <vector>

#include "kernels/dialect.h"
#include "kernels/simt/simt_races.h"
#include "tests/simt/ptx/ptx_operations.h"
#include "tests/simt/ptx/ptx_thread.h"

namespace pg::ptx {
namespace {

// ---- control flow -----------------------------------------------------------------------------

void jump(Thread& t, const Instruction& i) { t.next = i.target; }
void leave(Thread& t, const Instruction&) { t.next = t.function->code.size(); }

void call(Thread& t, const Instruction& i) {
  const Function& callee = *t.function->callees[i.slots[0]];
  std::vector<uint64_t> registers = callee.registers;
  const size_t results = callee.result_slots.size();
  for (size_t k = 0; k < callee.parameter_slots.size(); ++k) {
    registers[callee.parameter_slots[k]] = t.registers[i.slots[1 + results + k]];
  }
  Thread inner = t;
  inner.registers = registers.data();
  inner.function = &callee;
  run_function(inner);
  for (size_t k = 0; k < results; ++k) {
    t.registers[i.slots[1 + k]] = registers[callee.result_slots[k]];
  }
}

// ---- barriers, shuffles, votes ------------------------------------------------------------------

void wait_for_block(Thread& t, const Instruction& i) {
  if (t.get<uint32_t>(i, 0) != 0) t.fail(i, "a barrier other than number 0");
  simt::block_barrier(false, t.site(i));
}
void wait_for_warp(Thread& t, const Instruction& i) {
  __syncwarp(t.get<uint32_t>(i, 0), t.site(i));
}

enum class Shuffle : uint8_t { kUp, kDown, kButterfly, kIndex };

// shfl d|p, a, b, c, mask: c holds the last lane of a segment and the bits that name the segment.
template <Shuffle kKind>
void shuffle(Thread& t, const Instruction& i) {
  const uint32_t lane = simt::lane_index(), b = t.get<uint32_t>(i, 3) & 31;
  const uint32_t c = t.get<uint32_t>(i, 4), clamp = c & 31, segment = c >> 8 & 31;
  const uint32_t first = lane & segment, last = first | (clamp & ~segment);
  uint32_t source = lane;
  bool is_reached = false;
  switch (kKind) {
    case Shuffle::kUp:
      is_reached = lane >= last + b;
      source = lane - b;
      break;
    case Shuffle::kDown:
      source = lane + b;
      is_reached = source <= last;
      break;
    case Shuffle::kButterfly:
      source = lane ^ b;
      is_reached = source <= last;
      break;
    case Shuffle::kIndex:
      source = first | (b & ~segment);
      is_reached = source <= last;
      break;
  }
  if (!is_reached) source = lane;
  const uint32_t value =
      simt::shuffle<uint32_t>(t.get<uint32_t>(i, 5), t.get<uint32_t>(i, 2), source, t.site(i));
  t.set<uint32_t>(i, 0, value);
  t.set<bool>(i, 1, is_reached);
}

void ballot(Thread& t, const Instruction& i) {
  t.set<uint32_t>(i, 0, simt::ballot(t.get<uint32_t>(i, 2), t.get<bool>(i, 1), t.site(i)));
}
void vote_any(Thread& t, const Instruction& i) {
  t.set<bool>(i, 0, simt::ballot(t.get<uint32_t>(i, 2), t.get<bool>(i, 1), t.site(i)) != 0);
}
void vote_all(Thread& t, const Instruction& i) {
  t.set<bool>(i, 0, simt::ballot(t.get<uint32_t>(i, 2), !t.get<bool>(i, 1), t.site(i)) == 0);
}

// ---- tensor cores -------------------------------------------------------------------------------

template <bool kTransposed>
void load_matrices(Thread& t, const Instruction& i) {
  const void* const row = shared_address(t, i, 4, 16);
  if (t.launch->are_accesses_watched) simt::note_access(row, 16, false);
  uint32_t fragment[4];
  simt::ldmatrix_x4<kTransposed>(fragment, row, t.site(i));
  for (size_t k = 0; k < 4; ++k) t.set<uint32_t>(i, k, fragment[k]);
}

// mma d[4], a[4], b[2], c[4]
void multiply_matrices(Thread& t, const Instruction& i) {
  float d[4];
  uint32_t a[4], b[2];
  for (size_t k = 0; k < 4; ++k) {
    d[k] = t.get<float>(i, 10 + k);
    a[k] = t.get<uint32_t>(i, 4 + k);
  }
  for (size_t k = 0; k < 2; ++k) b[k] = t.get<uint32_t>(i, 8 + k);
  kernels::mma_m16n8k16(d, a, b, t.site(i));
  for (size_t k = 0; k < 4; ++k) t.set<float>(i, k, d[k]);
}

}  // namespace

void run_function(Thread& t) {
  const std::vector<Instruction>& code = t.function->code;
  t.next = 0;
  while (t.next < code.size()) {
    const Instruction& instruction = code[t.next++];
    if (instruction.guard != kAlways &&
        (t.registers[instruction.guard] != 0) == instruction.is_guard_negated) {
      continue;
    }
    instruction.run(t, instruction);
  }
}

void add_warp_operations(Operations& ops) {
  ops["bra "] = jump;
  ops["ret "] = leave;
  ops["call "] = call;
  ops["bar.sync r"] = wait_for_block;
  ops["bar.warp.sync r"] = wait_for_warp;
  ops["shfl.sync.up.b32 drrrr"] = shuffle<Shuffle::kUp>;
  ops["shfl.sync.down.b32 drrrr"] = shuffle<Shuffle::kDown>;
  ops["shfl.sync.bfly.b32 drrrr"] = shuffle<Shuffle::kButterfly>;
  ops["shfl.sync.idx.b32 drrrr"] = shuffle<Shuffle::kIndex>;
  ops["vote.sync.ballot.b32 rrr"] = ballot;
  ops["vote.sync.any.pred rrr"] = vote_any;
  ops["vote.sync.all.pred rrr"] = vote_all;
  ops["ldmatrix.sync.aligned.m8n8.x4.shared.b16 4m"] = load_matrices<false>;
  ops["ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 4m"] = load_matrices<true>;
  ops["mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 4424"] = multiply_matrices;
}

}  // namespace pg::ptx
