// Loads, stores, asynchronous copies and atomics; PTX ISA 9.0, 9.7.9. Every access is checked.
#include <fmt/format.h>

#include <cstring>
#include <string>

#include "kernels/simt/simt_races.h"
#include "kernels/simt/simt_tensor_core.h"
#include "tests/simt/device_memory.h"
#include "tests/simt/ptx/ptx_operations.h"
#include "tests/simt/ptx/ptx_thread.h"

namespace pg::ptx {
namespace {

uint64_t address_of(const Thread& t, const Instruction& i, size_t k) {
  return t.get<uint64_t>(i, k) + t.get<uint64_t>(i, k + 1);
}

struct Global {
  static unsigned char* at(Thread& t, const Instruction& i, size_t k, size_t bytes) {
    return global_address(t, i, k, bytes);
  }
  static void note(Thread&, const Instruction&, const void* at, size_t bytes, bool is_write) {
    if (is_write) kerneltest::note_written(at, bytes);
  }
};
// Memory that the launch only reads, by way of a cache that sees no write of it.
struct ReadOnly : Global {
  static void note(Thread& t, const Instruction& i, const void* at, size_t bytes, bool) {
    if (kerneltest::is_written(at, bytes)) t.fail(i, "a read-only load of what the launch writes");
  }
};
struct Shared {
  static unsigned char* at(Thread& t, const Instruction& i, size_t k, size_t bytes) {
    return shared_address(t, i, k, bytes);
  }
  static void note(Thread& t, const Instruction&, const void* at, size_t bytes, bool is_write) {
    if (t.launch->are_accesses_watched) simt::note_access(at, bytes, is_write);
  }
};
struct Parameters {
  static const unsigned char* at(Thread& t, const Instruction& i, size_t k, size_t bytes) {
    const uint64_t offset = address_of(t, i, k);
    if (offset + bytes > t.launch->parameter_bytes) t.fail(i, "reads past the kernel's parameters");
    return t.launch->parameters + offset;
  }
  static void note(Thread&, const Instruction&, const void*, size_t, bool) {}
};

// A signed value fills its register with its sign.
template <class T>
void set_loaded(Thread& t, const Instruction& i, size_t k, T value) {
  if constexpr (std::is_integral_v<T> && std::is_signed_v<T>) {
    t.set<int64_t>(i, k, value);
  } else {
    t.set<T>(i, k, value);
  }
}

template <class T, size_t kCount, class Space>
void load(Thread& t, const Instruction& i) {
  const unsigned char* const from = Space::at(t, i, kCount, kCount * sizeof(T));
  Space::note(t, i, from, kCount * sizeof(T), false);
  T values[kCount];
  std::memcpy(values, from, sizeof values);
  for (size_t k = 0; k < kCount; ++k) set_loaded<T>(t, i, k, values[k]);
}

template <class T, size_t kCount, class Space>
void store(Thread& t, const Instruction& i) {
  unsigned char* const to = Space::at(t, i, 0, kCount * sizeof(T));
  Space::note(t, i, to, kCount * sizeof(T), true);
  T values[kCount];
  for (size_t k = 0; k < kCount; ++k) values[k] = t.get<T>(i, 2 + k);
  std::memcpy(to, values, sizeof values);
}

// Blocks and threads switch at collectives only, so this is atomic.
void add_atomically(Thread& t, const Instruction& i) {
  unsigned char* const at = shared_address(t, i, 1, sizeof(uint32_t));
  uint32_t old = 0;
  std::memcpy(&old, at, sizeof old);
  const uint32_t sum = old + t.get<uint32_t>(i, 3);
  std::memcpy(at, &sum, sizeof sum);
  t.set<uint32_t>(i, 0, old);
}

void to_global(Thread& t, const Instruction& i) { t.set<uint64_t>(i, 0, t.get<uint64_t>(i, 1)); }

// cp.async.cg [to], [from], 16, bytes: zeros behind what is read, which is all or nothing here.
void copy_async(Thread& t, const Instruction& i) {
  const uint32_t size = t.get<uint32_t>(i, 4), read = t.get<uint32_t>(i, 5);
  if (size != 16 || (read != 0 && read != size)) t.fail(i, "a copy of an unknown size");
  unsigned char* const to = shared_address(t, i, 0, size);
  const unsigned char* const from = read == 0 ? nullptr : global_address(t, i, 2, size);
  simt::queue_copy(read == 0 ? &simt::fill_16_bytes : &simt::copy_16_bytes, to, from);
}
void commit_copies(Thread&, const Instruction&) { simt::commit_copies(); }
void wait_for_copies(Thread& t, const Instruction& i) {
  simt::wait_for_copies(t.get<uint32_t>(i, 0));
}

template <class T, class Space>
void add_loads(Operations& ops, const std::string& name, const std::string& type) {
  ops[name + type + " rm"] = load<T, 1, Space>;
  ops[name + "v2." + type + " 2m"] = load<T, 2, Space>;
  ops[name + "v4." + type + " 4m"] = load<T, 4, Space>;
}
template <class T, class Space>
void add_stores(Operations& ops, const std::string& name, const std::string& type) {
  ops[name + type + " mr"] = store<T, 1, Space>;
  ops[name + "v2." + type + " m2"] = store<T, 2, Space>;
  ops[name + "v4." + type + " m4"] = store<T, 4, Space>;
}

template <class T>
void add_accesses(Operations& ops, const std::string& type) {
  add_loads<T, Parameters>(ops, "ld.param.", type);
  add_loads<T, Global>(ops, "ld.global.", type);
  add_loads<T, ReadOnly>(ops, "ld.global.nc.", type);
  add_loads<T, Shared>(ops, "ld.shared.", type);
  add_stores<T, Global>(ops, "st.global.", type);
  add_stores<T, Global>(ops, "st.global.wb.", type);
  add_stores<T, Shared>(ops, "st.shared.", type);
  // Generic addresses are global ones here: nothing converts another to them.
  add_loads<T, Global>(ops, "ld.", type);
  add_stores<T, Global>(ops, "st.", type);
}

}  // namespace

unsigned char* global_address(Thread& t, const Instruction& i, size_t k, size_t bytes) {
  unsigned char* const at = reinterpret_cast<unsigned char*>(address_of(t, i, k));
  if (reinterpret_cast<uintptr_t>(at) % bytes != 0) {
    t.fail(i, fmt::format("{}-byte access to a misaligned address", bytes));
  }
  if (!kerneltest::is_allocated(at, bytes)) {
    t.fail(i, fmt::format("{}-byte access outside of global memory", bytes));
  }
  return at;
}

unsigned char* shared_address(Thread& t, const Instruction& i, size_t k, size_t bytes) {
  const uint32_t at = static_cast<uint32_t>(address_of(t, i, k));
  if (at % bytes != 0) t.fail(i, fmt::format("{}-byte access to a misaligned address", bytes));
  const std::vector<uint8_t>& arrays = t.launch->entry->shared_arrays;
  const size_t end = size_t{at} + bytes;
  const bool is_inside = end <= arrays.size() ? arrays[at] != 0 && arrays[at] == arrays[end - 1]
                                              : at >= arrays.size() && end <= t.shared_bytes;
  if (!is_inside) t.fail(i, fmt::format("{}-byte access outside of shared arrays", bytes));
  return t.shared + at;
}

void add_memory_operations(Operations& ops) {
  add_accesses<uint8_t>(ops, "u8");
  add_accesses<int8_t>(ops, "s8");
  add_accesses<uint16_t>(ops, "u16");
  add_accesses<int16_t>(ops, "s16");
  add_accesses<uint32_t>(ops, "u32");
  add_accesses<int32_t>(ops, "s32");
  add_accesses<uint64_t>(ops, "u64");
  add_accesses<int64_t>(ops, "s64");
  add_accesses<uint8_t>(ops, "b8");
  add_accesses<uint16_t>(ops, "b16");
  add_accesses<uint32_t>(ops, "b32");
  add_accesses<uint64_t>(ops, "b64");
  // As bits, so that a signalling NaN stays one.
  add_accesses<uint32_t>(ops, "f32");
  add_accesses<uint64_t>(ops, "f64");
  ops["atom.shared.add.u32 rmr"] = add_atomically;
  ops["cvta.to.global.u64 rr"] = to_global;
  ops["cp.async.cg.shared.global mmrr"] = copy_async;
  ops["cp.async.commit_group "] = commit_copies;
  ops["cp.async.wait_group r"] = wait_for_copies;
}

}  // namespace pg::ptx
