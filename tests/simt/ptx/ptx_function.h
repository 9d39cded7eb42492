// A function of PTX ready to run: every operand is a slot of the thread's register file, constants
// and special registers among them, and every instruction knows what executes it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/simt/ptx/ptx_text.h"

namespace pg::ptx {

struct Thread;
struct Instruction;
using Handler = void (*)(Thread& thread, const Instruction& instruction);

inline constexpr uint32_t kUnused = 0;  // the slot that takes what nobody reads
inline constexpr uint32_t kAlways = UINT32_MAX;

struct Instruction {
  Handler run = nullptr;
  // Operands in the order of the text: a register one slot, a vector one for each element, an address
  // two, register and displacement, "a|b" two.
  const uint32_t* slots = nullptr;
  uint32_t target = 0;       // of a branch: index of an instruction
  uint32_t guard = kAlways;  // the predicate's slot
  bool is_guard_negated = false;
  int line = 0;
};

enum class Special : uint8_t {
  kThreadX,
  kThreadY,
  kThreadZ,
  kBlockX,
  kBlockY,
  kBlockZ,
  kThreadsX,
  kThreadsY,
  kThreadsZ,
  kBlocksX,
  kBlocksY,
  kBlocksZ
};

struct Function {
  std::string name;
  std::shared_ptr<const ModuleText> module;
  bool is_entry = false;
  std::vector<Instruction> code;
  std::vector<uint32_t> slots;      // of all instructions
  std::vector<uint64_t> registers;  // as a thread finds them
  std::vector<std::pair<uint32_t, Special>> specials;
  std::vector<Parameter> parameters;  // of an entry
  size_t max_threads = 0;             // of a block; 0: not said
  // Static shared memory, before the dynamic: which array a byte belongs to, from 1; 0: none.
  std::vector<uint8_t> shared_arrays;
  // Of a function that is called.
  std::vector<uint32_t> parameter_slots, result_slots;
  std::vector<const Function*> callees;

  const char* path() const { return module->path.c_str(); }
};

}  // namespace pg::ptx
