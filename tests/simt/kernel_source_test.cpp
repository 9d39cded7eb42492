// What the host compiler cannot see: launches go through dialect.h, and assembly stays in the two
// files for it.
#include <gtest/gtest.h>

#include <cctype>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <string_view>

namespace {

namespace fs = std::filesystem;

std::string without_comments(std::string_view text) {
  std::string code;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i, 2) == "//") i = std::min(text.find('\n', i), text.size() - 1);
    code += text[i];
  }
  return code;
}

bool is_part_of_a_name(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

bool has_launch(std::string_view code) { return code.find(std::string(3, '<')) != code.npos; }

// An assembly statement or definition: its keyword as a whole word.
bool has_assembly(std::string_view code) {
  for (const char* keyword : {"asm", "__asm", "__asm__"}) {
    const size_t length = std::string_view(keyword).size();
    for (size_t i = code.find(keyword); i != code.npos; i = code.find(keyword, i + 1)) {
      const bool starts = i == 0 || !is_part_of_a_name(code[i - 1]);
      const size_t after = code.find_first_not_of(" \n", i + length);
      if (!starts || after == code.npos || is_part_of_a_name(code[i + length])) continue;
      if (code[after] == '(' || code.substr(after, 8) == "volatile") return true;
    }
  }
  return false;
}

// Source files for which `found` holds, by their path in the repository.
std::set<std::string> find_files(bool (*found)(std::string_view)) {
  static const std::set<std::string> kSuffixes = {".h", ".cpp", ".cu", ".cuh"};
  const fs::path root = fs::current_path();  // ctest runs every test in the repository's root
  std::set<std::string> files;
  for (const char* folder : {"kernels", "src", "quant", "eval", "harness", "tests"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      if (!kSuffixes.contains(entry.path().extension().string())) continue;
      std::ostringstream text;
      text << std::ifstream(entry.path()).rdbuf();
      if (!found(without_comments(text.str()))) continue;
      files.insert(fs::relative(entry.path(), root).string());
    }
  }
  return files;
}

TEST(KernelSource, LaunchSyntaxIsInTheDialectAlone) {
  EXPECT_EQ(find_files(has_launch), std::set<std::string>{"kernels/dialect.h"});
}

TEST(KernelSource, AssemblyIsInTheDialectAndTheSwitchAlone) {
  EXPECT_EQ(find_files(has_assembly),
            (std::set<std::string>{"kernels/dialect.h", "kernels/simt/simt_switch_x86_64.cpp"}));
}

}  // namespace
