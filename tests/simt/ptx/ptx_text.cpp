#include "tests/simt/ptx/ptx_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "kernels/simt/simt_executor.h"

namespace pg::ptx {
namespace {

constexpr std::string_view kBlank = " \t\r\n";

size_t as_size(std::string_view digits) {
  size_t value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

void blank_comments(std::string& text) {
  for (size_t i = 0; (i = text.find('/', i)) != text.npos; ++i) {
    size_t end = text.npos;
    if (text.compare(i, 2, "//") == 0) {
      end = std::min(text.find('\n', i), text.size());
    } else if (text.compare(i, 2, "/*") == 0) {
      const size_t close = text.find("*/", i);
      end = close == text.npos ? text.size() : close + 2;
    } else {
      continue;
    }
    for (; i < end; ++i) {
      if (text[i] != '\n') text[i] = ' ';
    }
    i = end - 1;
  }
}

bool is_line_directive(std::string_view text) {
  for (const std::string_view directive :
       {".version", ".target", ".address_size", ".file", ".loc"}) {
    const std::string_view rest = text.substr(std::min(directive.size(), text.size()));
    if (text.starts_with(directive) && (rest.empty() || kBlank.find(rest[0]) != kBlank.npos)) {
      return true;
    }
  }
  return false;
}

// Cuts text into statements. With bodies, what follows "{" up to its "}" is cut too; without, it is
// skipped, and the statement that it belongs to ends before the brace.
class Cutter {
 public:
  Cutter(std::string_view text, int line) : text_(text), line_(line) {}

  // False at the end. `ends_with` is one of ; { } : or a line's end.
  bool next(Statement& statement, char& ends_with) {
    skip_blanks();
    if (at_ == text_.size()) return false;
    const size_t begin = at_;
    statement.line = line_;
    const bool is_line = is_line_directive(text_.substr(begin, 16));
    int depth = 0;  // of braces inside an instruction: those of vectors
    for (; at_ < text_.size(); step()) {
      const char c = text_[at_];
      const bool is_first = at_ == begin;
      if (is_line && c == '\n') return end(statement, ends_with, begin, c);
      if (is_line) continue;
      if (c == '{' && !is_first && opens_vector(begin))
        ++depth;
      else if (c == '}' && depth > 0)
        --depth;
      else if (c == ';' || c == '{' || c == '}')
        return end(statement, ends_with, begin, c);
      else if (c == ':' && is_label(begin))
        return end(statement, ends_with, begin, c);
    }
    return end(statement, ends_with, begin, '\n');
  }

  // Skips what a "{" just returned opens; returns the text between the braces.
  std::string_view skip_braces() {
    const size_t begin = at_;
    int depth = 1;
    for (; at_ < text_.size(); step()) {
      if (text_[at_] == '{') ++depth;
      if (text_[at_] == '}' && --depth == 0) break;
    }
    const std::string_view inside = text_.substr(begin, at_ - begin);
    step();
    return inside;
  }
  int line() const { return line_; }

 private:
  void step() {
    if (at_ == text_.size()) return;
    if (text_[at_] == '\n') ++line_;
    ++at_;
  }
  void skip_blanks() {
    while (at_ < text_.size() && kBlank.find(text_[at_]) != kBlank.npos) step();
  }
  // A brace behind an instruction's mnemonic; that of a function's body follows a directive.
  bool opens_vector(size_t begin) const {
    return text_[begin] != '.' || text_.substr(begin, at_ - begin).find('=') != text_.npos;
  }
  bool is_label(size_t begin) const {
    return text_.substr(begin, at_ - begin).find_first_of(" \t\n.%{[") == text_.npos;
  }
  bool end(Statement& statement, char& ends_with, size_t begin, char c) {
    statement.text = trim(text_.substr(begin, at_ - begin));
    ends_with = c;
    step();
    return true;
  }

  std::string_view text_;
  size_t at_ = 0;
  int line_;
};

std::vector<Parameter> parse_parameters(std::string_view list) {
  std::vector<Parameter> parameters;
  size_t offset = 0;
  for (const std::string_view text : split_list(list, ',')) {
    const Variable variable = parse_variable(text);
    offset = (offset + variable.alignment - 1) / variable.alignment * variable.alignment;
    parameters.push_back({variable.name, offset, variable.bytes});
    offset += variable.bytes;
  }
  return parameters;
}

// ".visible .entry name( ... ) .maxntid 256, 1, 1" or ".func (.param ...) name( ... )".
FunctionText parse_header(std::string_view text) {
  FunctionText function;
  function.is_entry = text.find(".entry") != text.npos;
  const auto take_brackets = [&] {
    const size_t close = text.find(')');
    const std::string_view inside = text.substr(1, close - 1);
    text = trim(text.substr(close + 1));
    return inside;
  };
  text = trim(text.substr(function.is_entry ? text.find(".entry") + 6 : text.find(".func") + 5));
  if (text.starts_with('(')) function.results = parse_parameters(take_brackets());
  const size_t name_end = text.find_first_of(" \t\r\n(");
  function.name = text.substr(0, name_end);
  text = name_end == text.npos ? "" : trim(text.substr(name_end));
  if (text.starts_with('(')) function.parameters = parse_parameters(take_brackets());
  const size_t limit = text.find(".maxntid");
  if (limit != text.npos) {
    function.max_threads = 1;
    std::string_view sizes = text.substr(limit + 8);
    sizes = sizes.substr(0, sizes.find('.'));
    for (const std::string_view size : split_list(sizes, ',')) {
      function.max_threads *= as_size(size);
    }
  }
  return function;
}

}  // namespace

void fail_parse(const std::string& path, int line, const std::string& what) {
  throw simt::LaunchError(fmt::format("{}:{}: {}", path, line, what));
}

void parse_module(ModuleText& module) {
  blank_comments(module.text);
  Cutter cutter(module.text, 1);
  Statement statement;
  char ends_with = 0;
  while (cutter.next(statement, ends_with)) {
    if (ends_with == '{') {
      const int line = cutter.line();
      const std::string_view body = cutter.skip_braces();
      if (statement.text.starts_with(".section")) continue;
      FunctionText function = parse_header(statement.text);
      function.body = body;
      function.line = line;
      const std::string name = function.name;
      module.functions[name] = std::move(function);
    } else if (ends_with == ';' && statement.text.find(".func") == statement.text.npos) {
      module.variables.push_back(statement);
    }
  }
}

std::vector<Statement> split_body(const std::string& path, const FunctionText& function) {
  std::vector<Statement> statements;
  Cutter cutter(function.body, function.line);
  Statement statement;
  char ends_with = 0;
  while (cutter.next(statement, ends_with)) {
    const std::string_view text = statement.text;
    const int line = statement.line;
    if (ends_with == '{' || ends_with == '}') {
      if (!text.empty()) fail_parse(path, line, fmt::format("\"{}\" has no end", text));
      statements.push_back({ends_with == '{' ? "{" : "}", line});
    } else if (ends_with == ':') {
      // The colon lies right behind the name in the text that both are views of.
      statements.push_back({{text.data(), text.size() + 1}, line});
    } else if (ends_with == ';' && !text.empty()) {
      statements.push_back({text, line});
    }
  }
  return statements;
}

std::string_view trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) + 1 - begin);
}

std::vector<std::string_view> split_list(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  int depth = 0;
  size_t begin = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    const char c = i < text.size() ? text[i] : separator;
    if (c == '{' || c == '[' || c == '(') ++depth;
    if (c == '}' || c == ']' || c == ')') --depth;
    if (c != separator || depth != 0) continue;
    const std::string_view part = trim(text.substr(begin, i - begin));
    if (!part.empty()) parts.push_back(part);
    begin = i + 1;
  }
  return parts;
}

std::string_view take_word(std::string_view& text) {
  text = trim(text);
  const std::string_view word = text.substr(0, text.find_first_of(kBlank));
  text = trim(text.substr(word.size()));
  return word;
}

size_t type_bytes(std::string_view type) {
  if (type == "pred") return 1;
  if (type.size() < 2 || std::string_view("bufs").find(type[0]) == std::string_view::npos) return 0;
  for (const size_t bits : {8, 16, 32, 64}) {
    if (type.substr(1) == std::to_string(bits)) return bits / 8;
  }
  return 0;
}

Variable parse_variable(std::string_view text) {
  Variable variable;
  size_t element = 1, count = 1;
  while (text.starts_with('.')) {
    const std::string_view word = take_word(text).substr(1);
    if (word == "align") {
      variable.alignment = as_size(take_word(text));
    } else if (const size_t bytes = type_bytes(word)) {
      element = bytes;
      variable.alignment = std::max(variable.alignment, bytes);
    } else if (word == "extern") {
      variable.is_extern = true;
    } else if (word != "ptr" && word != "visible" && word != "weak") {
      variable.space = word;
    }
  }
  const size_t bracket = text.find('[');
  if (bracket != text.npos) count = as_size(trim(text.substr(bracket + 1)));
  variable.name = trim(text.substr(0, bracket));
  variable.bytes = element * count;
  return variable;
}

}  // namespace pg::ptx
