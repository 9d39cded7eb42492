#include "tests/simt/ptx/ptx_modules.h"

#include <fmt/format.h>

#include <fstream>
#include <sstream>

#include "kernels/simt/simt_executor.h"
#include "tests/simt/ptx/ptx_decoder.h"

namespace pg::ptx {
namespace {

constexpr std::string_view kEntry = ".entry ";

bool has_entry(const ModuleText& module, const std::string& name) {
  if (!module.functions.empty()) return module.functions.contains(name);
  const std::string declaration = std::string(kEntry) + name;
  const size_t at = module.text.find(declaration);
  return at != module.text.npos &&
         module.text.find_first_of("( \t\n", at + kEntry.size()) == at + declaration.size();
}

}  // namespace

Modules::Modules(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    std::ostringstream text;
    std::ifstream file(path, std::ios::binary);
    text << file.rdbuf();
    if (!file) throw simt::LaunchError(fmt::format("{} cannot be read", path));
    add(path, std::move(text).str());
  }
}

void Modules::add(const std::string& path, std::string text) {
  auto module = std::make_shared<ModuleText>();
  module->path = path;
  module->text = std::move(text);
  modules_.push_back(std::move(module));
}

const Function& Modules::function_of(const Module& module, const std::string& name) {
  const std::string key = module->path + ':' + name;
  const auto known = functions_.find(key);
  if (known != functions_.end()) return *known->second;
  const auto text = module->functions.find(name);
  if (text == module->functions.end()) {
    throw simt::LaunchError(fmt::format("{} has no function {}", module->path, name));
  }
  const auto find_callee = [&](const std::string& callee) -> const Function& {
    return function_of(module, callee);
  };
  std::unique_ptr<Function> decoded = decode(module, text->second, find_callee);
  return *(functions_[key] = std::move(decoded));
}

const Function& Modules::entry(const std::string& name) {
  for (const Module& module : modules_) {
    if (!has_entry(*module, name)) continue;
    if (module->functions.empty()) parse_module(*module);
    return function_of(module, name);
  }
  throw simt::LaunchError(fmt::format("no PTX has an entry {}", name));
}

std::vector<std::string> Modules::entries() const {
  std::vector<std::string> names;
  for (const Module& module : modules_) {
    size_t at = 0;
    while ((at = module->text.find(kEntry, at)) != module->text.npos) {
      at += kEntry.size();
      names.push_back(module->text.substr(at, module->text.find_first_of("( \t\n", at) - at));
    }
  }
  return names;
}

}  // namespace pg::ptx
