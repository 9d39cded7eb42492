#include "harness/command/output_path.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <system_error>

#include "src/base/error.h"
#include "src/files/write_file.h"
#include "src/text/text_escape.h"

namespace pg {

namespace {

// Whether writing to `out` would reach what lies behind a descriptor.
bool is_open_as(const std::filesystem::path& out, int fd, struct stat& info) {
  struct stat opened = {};
  return ::stat(out.c_str(), &info) == 0 && ::fstat(fd, &opened) == 0 &&
         info.st_dev == opened.st_dev && info.st_ino == opened.st_ino;
}

}  // namespace

void prepare_output(const std::filesystem::path& out,
                    std::initializer_list<std::filesystem::path> inputs) {
  struct stat info = {};
  if (is_open_as(out, STDERR_FILENO, info) && !S_ISCHR(info.st_mode)) {
    throw Error(fmt::format(
        "the messages would be mixed into the output: \"{}\" is standard error; send it elsewhere "
        "(2> FILE) or name another file",
        escape_terminal(out.string())));
  }
  for (const std::filesystem::path& input : inputs) {
    std::error_code missing;  // one that is not there is not the same
    if (!std::filesystem::equivalent(out, input, missing) || missing) continue;
    throw Error(
        fmt::format("the output would replace what it is made from: \"{}\"; name another file",
                    escape_terminal(input.string())));
  }
  if (!out.empty()) remove_stray_files(out.parent_path());
}

std::FILE* summary_stream(const std::filesystem::path& out) {
  struct stat info = {};
  return is_open_as(out, STDOUT_FILENO, info) ? stderr : stdout;
}

}  // namespace pg
