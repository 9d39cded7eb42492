#include "harness/bench/scratch_folder.h"

#include <stdlib.h>

#include <system_error>

#include "src/base/error.h"

namespace pg {

ScratchFolder::ScratchFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "pg_bench_XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) {
    throw Error("cannot create a folder \"" + pattern + "\"; check TMPDIR");
  }
  path_ = pattern;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace pg
