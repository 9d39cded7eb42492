// A CUDA thread that runs a function of PTX, and what its instructions see.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>

#include "kernels/simt/simt_executor.h"
#include "tests/simt/ptx/ptx_function.h"

namespace pg::ptx {

// What the threads of a launch share.
struct Launch {
  const unsigned char* parameters = nullptr;
  size_t parameter_bytes = 0;
  const Function* entry = nullptr;
  bool are_accesses_watched = false;  // by simt_races.h
};

struct Thread {
  uint64_t* registers = nullptr;
  const Function* function = nullptr;
  const Launch* launch = nullptr;
  unsigned char* shared = nullptr;  // of the block: static arrays, then dynamic memory
  size_t shared_bytes = 0;
  size_t next = 0;  // index of the instruction to come

  // Operand number `k` of an instruction, as a value of type T.
  template <class T>
  T get(const Instruction& instruction, size_t k) const {
    const uint64_t bits = registers[instruction.slots[k]];
    if constexpr (std::is_same_v<T, bool>) {
      return bits != 0;
    } else {
      T value;
      std::memcpy(&value, &bits, sizeof value);
      return value;
    }
  }
  template <class T>
  void set(const Instruction& instruction, size_t k, T value) {
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    registers[instruction.slots[k]] = bits;
  }

  simt::Site site(const Instruction& instruction) const {
    return {function->path(), instruction.line};
  }
  [[noreturn]] void fail(const Instruction& instruction, const std::string& what) const {
    simt::fail_thread(what.c_str(), site(instruction));
  }
};

// Executes thread.function to its end.
void run_function(Thread& thread);

// The address of `bytes` bytes at operand `k`, checked: allocated global memory, a shared array or
// a parameter, and aligned to its size as a GPU demands.
unsigned char* global_address(Thread& thread, const Instruction& instruction, size_t k,
                              size_t bytes);
unsigned char* shared_address(Thread& thread, const Instruction& instruction, size_t k,
                              size_t bytes);

}  // namespace pg::ptx
