// The SHA-256 of a file that may be larger than memory.
#pragma once
#include <filesystem>

#include "src/base/file_descriptor.h"
#include "src/base/hash.h"

namespace pg {

// As sha256sum prints it. Throws Error when the file cannot be read.
Sha256 sha256_file(const std::filesystem::path& path);
// Of the rest of an open file; `path` is what its error names.
Sha256 sha256_file(const FileDescriptor& file, const std::filesystem::path& path);

}  // namespace pg
