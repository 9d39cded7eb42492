// PTX files, and their functions ready to run. A file is parsed when one of its functions is asked
// for, a function decoded likewise.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/simt/ptx/ptx_function.h"

namespace pg::ptx {

class Modules {
 public:
  Modules() = default;
  // Throws simt::LaunchError when a file cannot be read.
  explicit Modules(const std::vector<std::string>& paths);
  // path: for messages.
  void add(const std::string& path, std::string text);

  // Throws simt::LaunchError when no file has it, or when it has an instruction that is not known.
  const Function& entry(const std::string& name);

  // Names of the entries of all files.
  std::vector<std::string> entries() const;

 private:
  using Module = std::shared_ptr<ModuleText>;

  const Function& function_of(const Module& module, const std::string& name);

  std::vector<Module> modules_;
  std::map<std::string, std::unique_ptr<Function>> functions_;
};

}  // namespace pg::ptx
