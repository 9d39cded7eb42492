// Files of a record that is read back, which may be a stranger's.
#pragma once
#include <filesystem>
#include <string>

namespace pg {

// In the folder itself, no link, no pipe, of a size to read. Throws Error where it is not.
std::filesystem::path find_record_file(const std::filesystem::path& record,
                                       const std::string& name);
// A folder, and no link to one.
bool is_plain_folder(const std::filesystem::path& path);

}  // namespace pg
