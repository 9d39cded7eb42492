// What executes an instruction, by its full mnemonic and the shape of its operands, one letter each:
// r a register or constant, m an address, d a pair "a|b", 2 or 4 a vector of so many. A modifier that
// nobody thought of finds nothing here, so none is ignored.
#pragma once
#include <string>
#include <unordered_map>

#include "tests/simt/ptx/ptx_function.h"

namespace pg::ptx {

// "add.s32 rrr" and the like.
using Operations = std::unordered_map<std::string, Handler>;

void add_integer_operations(Operations& operations);
void add_float_operations(Operations& operations);
void add_conversions(Operations& operations);
void add_memory_operations(Operations& operations);
void add_warp_operations(Operations& operations);

// Null: unknown.
Handler find_operation(const std::string& mnemonic_and_shape);

}  // namespace pg::ptx
