// Switching stacks, the only machine-dependent part of the executor. CMake picks
// simt_switch_x86_64.cpp, or simt_switch_ucontext.cpp for other machines (there each switch costs a
// system call).
#pragma once
#include <cstddef>

namespace pg::simt {

// A suspended flow of control. Its registers lie on its own stack, where `saved` points.
struct Context {
  void* saved = nullptr;
};

// Makes a context that calls entry() on the given stack when first switched to. entry must not
// return.
Context make_context(char* stack, size_t stack_bytes, void (*entry)());

// Suspends the running flow into `from` and resumes `to`; returns when something switches back to
// `from`.
void switch_context(Context& from, const Context& to);

}  // namespace pg::simt
