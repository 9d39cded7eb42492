// PTX as text: which functions a module has, their parameters, and the statements of a body (PTX ISA
// 9.0, chapters 4 and 5). What nvcc writes, no more; anything else is an error that names the line.
#pragma once
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace pg::ptx {

// Always thrown as simt::LaunchError, as by a kernel that a GPU would reject.
[[noreturn]] void fail_parse(const std::string& path, int line, const std::string& what);

struct Parameter {
  std::string name;
  size_t offset = 0, bytes = 0;  // in the block of all of them
};

struct FunctionText {
  std::string name;
  bool is_entry = false;
  std::vector<Parameter> parameters, results;
  size_t max_threads = 0;  // of a block; 0: not said
  std::string_view body;   // between its braces
  int line = 0;            // of the body's first character
};

// "{" and "}" of a scope, "name:" of a label, and what ends with ";", without that.
struct Statement {
  std::string_view text;
  int line = 0;
};

struct ModuleText {
  std::string path, text;
  std::map<std::string, FunctionText> functions;
  std::vector<Statement> variables;  // outside of functions
};

// The views of functions and variables are of the module's own text, in which comments have become
// blanks.
void parse_module(ModuleText& module);
std::vector<Statement> split_body(const std::string& path, const FunctionText& function);

// ---- pieces of statements -------------------------------------------------------------------

std::string_view trim(std::string_view text);
// Parts between separators outside of brackets, trimmed.
std::vector<std::string_view> split_list(std::string_view text, char separator);
// Takes the first word off `text`.
std::string_view take_word(std::string_view& text);
// Bytes of a type such as "f32"; 0: no type.
size_t type_bytes(std::string_view type);

struct Variable {
  std::string name;
  std::string space;  // shared, param, global, ...
  bool is_extern = false;
  size_t alignment = 1, bytes = 0;
};
// A declaration such as ".shared .align 4 .b8 name[128]".
Variable parse_variable(std::string_view text);

}  // namespace pg::ptx
