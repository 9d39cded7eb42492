// Stack switch through the C library, for machines without an assembly version.
#include <ucontext.h>

#include <cstdint>
#include <new>

#include "kernels/simt/simt_switch.h"

namespace pg::simt {

Context make_context(char* stack, size_t stack_bytes, void (*entry)()) {
  // The registers of a flow that has not run yet lie at the foot of its stack.
  const uintptr_t foot =
      (reinterpret_cast<uintptr_t>(stack) + alignof(ucontext_t) - 1) & ~(alignof(ucontext_t) - 1);
  ucontext_t* registers = new (reinterpret_cast<void*>(foot)) ucontext_t;
  getcontext(registers);
  char* usable = reinterpret_cast<char*>(registers + 1);
  registers->uc_stack.ss_sp = usable;
  registers->uc_stack.ss_size = stack_bytes - static_cast<size_t>(usable - stack);
  registers->uc_link = nullptr;
  makecontext(registers, entry, 0);
  return {registers};
}

void switch_context(Context& from, const Context& to) {
  ucontext_t registers;  // lives on the suspended flow's own stack until it is resumed
  from.saved = &registers;
  swapcontext(&registers, static_cast<const ucontext_t*>(to.saved));
}

}  // namespace pg::simt
