#include "harness/command/artifact_file.h"

#include <fmt/format.h>

#include "src/base/bytes.h"
#include "src/text/file_kind.h"

namespace pg {

UnpackedModel unpack_file(const std::filesystem::path& path) {
  Result<UnpackedModel> unpacked = unpack(read_file(path));
  if (unpacked.ok()) return std::move(unpacked.value());
  throw not_an_artifact(path, unpacked.error());
}

Error not_an_artifact(const std::filesystem::path& path, std::string_view why) {
  const Bytes bytes = read_file(path);
  const std::string_view foreign = describe_foreign_file(bytes);
  if (!foreign.empty()) {
    return Error(fmt::format("not a valid artifact: \"{}\" is {}", path.string(), foreign));
  }
  return Error(
      fmt::format("not a valid artifact: \"{}\" ({}); give a file that train_gpt run wrote",
                  path.string(), why));
}

}  // namespace pg
