// The SHA-256 of a file that may be larger than memory.
#pragma once
#include <filesystem>

#include "src/base/hash.h"

namespace pg {

// As sha256sum prints it. Throws Error when the file cannot be read.
Sha256 sha256_file(const std::filesystem::path& path);

}  // namespace pg
