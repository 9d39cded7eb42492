// A command of the program as data: its words, where their values go, and what it does. cli.cpp
// reads the line by these tables; CLI11 stays there.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "src/base/clock.h"

namespace pg {

// Of a vector each use of the option adds one value; a vector by its place takes all words.
using OptionValue = std::variant<std::string*, std::filesystem::path*, int64_t*, uint64_t*, double*,
                                 bool*, std::vector<std::string>*, std::vector<int64_t>*,
                                 std::vector<std::filesystem::path>*>;

struct OptionRange {
  int64_t min = 0, max = 0;
};

struct Option {
  const char* name;   // "--out"; without dashes a word that is known by its place
  OptionValue value;  // holds the default before the line is read
  const char* help;
  bool is_required = false;
  bool shows_default = false;
  std::optional<OptionRange> range = {};
  const char* excludes = nullptr;  // name of an option before this one
  bool may_be_empty = false;       // of a text: a variable that is not set must not pass for none
};

struct Command {
  const char* path;  // "size", "tokenizer train"
  const char* help;
  std::vector<Option> options;
  // Results go to stdout, progress to stderr; gives the exit code and throws Error.
  std::function<int(Clock& clock)> action;
};

// A command whose options lie in an `Options`: `list` names them, `action` reads them.
template <class Options>
Command make_command(const char* path, const char* help, std::vector<Option> (*list)(Options&),
                     std::function<int(const Options&, Clock&)> action) {
  // Shared, because a std::function is copied and the words fill in what its copies read.
  const auto options = std::make_shared<Options>();
  return {.path = path,
          .help = help,
          .options = list(*options),
          .action = [options, action](Clock& clock) { return action(*options, clock); }};
}

// --set, of every command that takes a recipe.
inline Option set_option(std::vector<std::string>& sets) {
  return {.name = "--set", .value = &sets, .help = "section.key=value; repeatable"};
}

}  // namespace pg
