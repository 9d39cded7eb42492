// Turns a function's text into one that runs.
#pragma once
#include <functional>
#include <memory>

#include "tests/simt/ptx/ptx_function.h"

namespace pg::ptx {

// Functions of the same module, for calls.
using FindFunction = std::function<const Function&(const std::string& name)>;

// Throws simt::LaunchError for what it does not know, with its text and line.
std::unique_ptr<Function> decode(std::shared_ptr<const ModuleText> module, const FunctionText& text,
                                 const FindFunction& find_callee);

}  // namespace pg::ptx
