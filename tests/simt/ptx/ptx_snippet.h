// Pieces of PTX run on their own, for the interpreter's own tests.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pg::ptx {

// Threads that run `body` in one block, in which there are registers %p, %h (16 bits), %r, %f, %d (64
// bits), %g (f64) of 64 each. %r0 is the thread, %d0 where its 8 bytes of output lie, %d1 where its 16
// bytes of input lie. `before` stands outside of the entry.
struct Snippet {
  std::string body;
  uint32_t threads = 1;
  std::string before = "";
  size_t shared_bytes = 0;  // dynamic
};

// The 8 bytes of each thread; they start as zeros. Throws simt::LaunchError.
std::vector<uint64_t> run_snippet(const Snippet& snippet, std::vector<uint64_t> inputs = {});

// What an instruction leaves in the register number 1 of T's kind: %p1 of bool, %h1 of uint16_t,
// %r1 of uint32_t, %d1 of uint64_t, %f1 of float, %g1 of double.
template <class T>
T evaluate(const std::string& instructions);

// As constants of PTX.
std::string constant(float value);
std::string constant(double value);

}  // namespace pg::ptx
