#include "harness/command/record_file.h"

#include <fmt/format.h>

#include "src/base/error.h"

namespace pg {

namespace fs = std::filesystem;

fs::path find_record_file(const fs::path& record, const std::string& name) {
  constexpr uintmax_t kMostBytes = uintmax_t{1} << 31;
  if (fs::path(name).filename() != name || name.empty() || name == "." || name == "..") {
    throw Error(fmt::format("replay: \"{}\" is no name of a file in the record", name));
  }
  fs::path file = record / name;
  std::error_code error;
  const fs::file_type type = fs::symlink_status(file, error).type();
  if (type == fs::file_type::not_found) {
    throw Error(
        fmt::format("replay: there is no \"{}\"; give the folder of a record", file.string()));
  }
  if (type != fs::file_type::regular || fs::file_size(file, error) > kMostBytes || error) {
    throw Error(fmt::format("replay: \"{}\" is no plain file of at most 2 GiB", file.string()));
  }
  return file;
}

bool is_plain_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::symlink_status(path, ignored).type() == fs::file_type::directory;
}

}  // namespace pg
