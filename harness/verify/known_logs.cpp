#include "harness/verify/known_logs.h"

#include <fmt/format.h>

#include <charconv>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/text/text_escape.h"

namespace pg {
namespace {

constexpr size_t kColumns = 6;
constexpr uint64_t kMostBytes = uint64_t{1} << 28;
constexpr size_t kHexDigits = 64;

std::vector<std::string_view> split(std::string_view line) {
  std::vector<std::string_view> cells;
  for (size_t tab = line.find('\t'); tab != std::string_view::npos; tab = line.find('\t')) {
    cells.push_back(line.substr(0, tab));
    line.remove_prefix(tab + 1);
  }
  cells.push_back(line);
  return cells;
}

}  // namespace

KnownLogs::KnownLogs(const std::filesystem::path& file) {
  const Bytes bytes = read_file(file, kMostBytes);
  *this = from_text({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, file.string());
}

KnownLogs KnownLogs::from_text(std::string_view text, std::string_view name) {
  KnownLogs known;
  int64_t number = 0;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    ++number;
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.empty()) continue;
    const std::vector<std::string_view> cells = split(line);
    const auto fail = [&](std::string_view why) {
      throw Error(
          fmt::format("\"{}\": line {}: {}; a table of known logs has the columns "
                      "sha256_committed, sha256_kept, bytes, first_pr, folder and file, "
                      "with tabs between them",
                      escape_terminal(name), number, why));
    };
    if (cells.size() != kColumns) fail(fmt::format("{} columns", cells.size()));
    if (number == 1 && cells[0] == "sha256_committed") continue;
    if (cells[0].size() != kHexDigits || cells[1].size() != kHexDigits) {
      fail("no SHA-256 of 64 digits");
    }
    KnownLog log;
    const auto [behind, error] =
        std::from_chars(cells[3].data(), cells[3].data() + cells[3].size(), log.first_pr);
    if (error != std::errc() || behind != cells[3].data() + cells[3].size()) {
      fail("first_pr is no number");
    }
    log.folder = cells[4];
    log.file = cells[5];
    known.folders_[log.first_pr].insert(log.folder);
    for (const size_t column : {size_t{0}, size_t{1}}) {
      known.logs_.emplace(cells[column], log);  // the first mention stays
    }
  }
  return known;
}

const KnownLog* KnownLogs::find(const Sha256& sha256) const {
  const auto at = logs_.find(hex(sha256));
  return at == logs_.end() ? nullptr : &at->second;
}

std::set<std::string> KnownLogs::folders_of(int64_t first_pr) const {
  const auto at = folders_.find(first_pr);
  return at == folders_.end() ? std::set<std::string>() : at->second;
}

}  // namespace pg
