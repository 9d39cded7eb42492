// Files written whole or not at all: after a kill or a full disk the old file or the new one stands
// there, never half of one.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace pg {

// Writes a new file beside path, fsyncs, renames over path, fsyncs the folder: after a kill or a
// full disk the old file or the new one stands there, never half of one. Creates missing parent folders, keeps an
// old file's mode, follows links. A device or a pipe is written to as it is. Throws Error (no
// space, a folder, a read-only file, ...).
void write_file_atomic(const std::filesystem::path& path, std::span<const uint8_t> bytes);
void write_file_atomic(const std::filesystem::path& path, std::string_view text);

// Removes what processes that were killed while they wrote left in a folder; never a file that is
// being written, nor one of another name than ours.
void remove_stray_files(const std::filesystem::path& folder);

// For who ends the process without unwinding it: returns when no file is half written, or after two
// seconds. From then on a write_file_atomic waits for ever.
void await_file_writes();

}  // namespace pg
