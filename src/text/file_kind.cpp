#include "src/text/file_kind.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <string>

namespace pg {
namespace {

using namespace std::string_view_literals;

struct KnownHead {
  std::string_view start;
  std::string_view what;
  bool is_text = false;  // might be meant
};
constexpr std::string_view kFailedDownload =
    "a server's error message in place of the file; fetch it again";
constexpr std::array kHeads = {
    KnownHead{"version https://git-lfs"sv,
              "a Git LFS pointer, which only names the file; fetch it with \"git lfs pull\""sv},
    KnownHead{"\x1f\x8b"sv, "compressed with gzip; unpack it with \"gunzip\""sv},
    KnownHead{"\x28\xb5\x2f\xfd"sv, "compressed with zstd; unpack it with \"unzstd\""sv},
    KnownHead{"\xfd\x37zXZ\0"sv, "compressed with xz; unpack it with \"unxz\""sv},
    KnownHead{"BZh"sv, "compressed with bzip2; unpack it with \"bunzip2\""sv, true},
    KnownHead{"PK\x03\x04"sv, "a zip archive; unpack it"sv},
    KnownHead{"PAR1"sv, "a Parquet table; write its text as .jsonl"sv},
    KnownHead{"\x93NUMPY"sv, "a NumPy array; convert it"sv},
    KnownHead{"\xff\xfe"sv, "UTF-16; convert it with \"iconv -f UTF-16 -t UTF-8\""sv},
    KnownHead{"\xfe\xff"sv, "UTF-16; convert it with \"iconv -f UTF-16 -t UTF-8\""sv},
    KnownHead{"404: Not Found"sv, kFailedDownload, true},
    KnownHead{"Entry not found"sv, kFailedDownload, true},
    KnownHead{"Not Found"sv, kFailedDownload, true},
    KnownHead{"Invalid username or password"sv, kFailedDownload, true},
    KnownHead{"{\"error\":"sv, kFailedDownload, true},
    KnownHead{"<?xml"sv, kFailedDownload, true},
};

// ASCII text in two bytes a letter, without the mark that UTF-16 may begin with.
bool is_bare_utf16(std::span<const uint8_t> head) {
  constexpr size_t kLetters = 4;
  if (head.size() < 2 * kLetters) return false;
  for (const size_t zero : {size_t{0}, size_t{1}}) {
    bool fits = true;
    for (size_t i = 0; i < 2 * kLetters; ++i) {
      const bool is_text = head[i] >= '\t' && head[i] < 0x7f;
      fits = fits && (i % 2 == zero ? head[i] == 0 : is_text);
    }
    if (fits) return true;
  }
  return false;
}

bool is_web_page(std::span<const uint8_t> head) {
  std::string start;
  for (const uint8_t byte : head.first(std::min(head.size(), kHeadBytes))) {
    const bool is_lead = byte <= ' ' || byte >= 0x80;  // space and a byte order mark
    if (start.empty() && is_lead) continue;
    start += static_cast<char>(byte >= 'A' && byte <= 'Z' ? byte - 'A' + 'a' : byte);
  }
  return start.starts_with("<!doctype html") || start.starts_with("<html");
}

std::string_view describe_head(std::span<const uint8_t> head, bool may_be_text) {
  const std::string_view start(reinterpret_cast<const char*>(head.data()), head.size());
  for (const KnownHead& known : kHeads) {
    if (start.starts_with(known.start) && !(may_be_text && known.is_text)) return known.what;
  }
  if (is_bare_utf16(head)) return "UTF-16; convert it with \"iconv -f UTF-16LE -t UTF-8\"";
  if (!may_be_text && is_web_page(head)) {
    return "a web page in place of the file; fetch the file itself";
  }
  return {};
}

}  // namespace

std::string_view describe_foreign_file(std::span<const uint8_t> head) {
  return describe_head(head, /*may_be_text=*/false);
}

std::string_view describe_foreign_file_at(const std::filesystem::path& path) {
  // Looking into a pipe would wait for it.
  if (std::error_code ignored; !std::filesystem::is_regular_file(path, ignored)) return {};
  std::array<char, kHeadBytes> head;
  std::ifstream file(path, std::ios::binary);
  file.read(head.data(), head.size());
  const auto bytes = static_cast<size_t>(file.gcount());
  return describe_foreign_file({reinterpret_cast<const uint8_t*>(head.data()), bytes});
}

std::string_view describe_foreign_text(std::span<const uint8_t> head) {
  return describe_head(head, /*may_be_text=*/true);
}

}  // namespace pg
