#include "harness/command/record_file.h"

#include <fmt/format.h>

#include "src/base/error.h"
#include "src/files/inner_file.h"

namespace pg {

namespace fs = std::filesystem;

fs::path find_record_file(const fs::path& record, const std::string& name) {
  if (!is_inner_name(name)) {
    throw Error(fmt::format("replay: \"{}\" is no name of a file in the record", name));
  }
  fs::path file = record / name;
  const InnerFile inner = open_inner_file(record, name);
  if (inner.state == InnerFileState::kMissing) {
    throw Error(
        fmt::format("replay: there is no \"{}\"; give the folder of a record", file.string()));
  }
  constexpr uintmax_t kMostBytes = uintmax_t{1} << 31;
  std::error_code error;
  if (inner.state != InnerFileState::kOpen || fs::file_size(file, error) > kMostBytes || error) {
    throw Error(fmt::format("replay: \"{}\" is no plain file of at most 2 GiB", file.string()));
  }
  return file;
}

bool is_plain_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::symlink_status(path, ignored).type() == fs::file_type::directory;
}

}  // namespace pg
