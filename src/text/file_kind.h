// What a file is that somebody gave in place of a shard, a tokenizer, a text, weights or an
// artifact: files that go wrong on the way have heads of their own.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

namespace pg {

// Bytes from a file's start that are enough to know it by.
inline constexpr size_t kHeadBytes = 512;

// "a Git LFS pointer, which only names the file; fetch it with \"git lfs pull\""; empty for a head
// that is none of those known.
std::string_view describe_foreign_file(std::span<const uint8_t> head);
// The same by its path; empty for what is no file or cannot be read.
std::string_view describe_foreign_file_at(const std::filesystem::path& path);
// The same for a file that is to be text: one that begins with words, of a web page or an error
// message, may be meant.
std::string_view describe_foreign_text(std::span<const uint8_t> head);

}  // namespace pg
