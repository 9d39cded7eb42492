// An artifact on disk, for commands.
#pragma once
#include <filesystem>
#include <string_view>

#include "quant/format/unpack.h"
#include "src/base/error.h"

namespace pg {

// Throws Error for a file that is no artifact.
UnpackedModel unpack_file(const std::filesystem::path& path);

// The error for a file whose bytes are no artifact, and why.
Error not_an_artifact(const std::filesystem::path& path, std::string_view why);

}  // namespace pg
