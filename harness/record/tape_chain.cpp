#include "harness/record/tape_chain.h"

#include <vector>

#include "src/base/bytes.h"

namespace pg {
namespace {

constexpr std::string_view kMember = ",\"chain\":\"", kEnd = "\"}";

size_t count_digits(std::string_view line) {
  const bool stands_alone =
      line.starts_with("{\"event\":\"start\",") || line.starts_with("{\"event\":\"end\",");
  return stands_alone ? 2 * sizeof(Sha256) : 16;
}

// Where the member begins, as the last of the line.
size_t find_member(std::string_view line) {
  const size_t at = line.ends_with(kEnd) ? line.rfind(kMember) : std::string_view::npos;
  const bool is_last =
      at != std::string_view::npos && line.find('"', at + kMember.size()) == line.size() - 2;
  return is_last ? at : std::string_view::npos;
}

}  // namespace

Sha256 TapeChain::next(std::string_view bare_line) const {
  std::vector<uint8_t> bytes(value_.begin(), value_.end());
  const auto line = as_bytes(bare_line);
  bytes.insert(bytes.end(), line.begin(), line.end());
  return sha256(bytes);
}

std::string TapeChain::link(std::string_view line) {
  value_ = next(line);
  std::string linked(line.substr(0, line.size() - 1));
  linked.append(kMember).append(hex(value_).substr(0, count_digits(line))).append(kEnd);
  return linked;
}

bool TapeChain::follow(std::string_view line) {
  const size_t at = find_member(line);
  if (at == std::string_view::npos) return false;
  std::string bare(line.substr(0, at));
  bare += '}';
  TapeChain ahead = *this;
  if (ahead.link(bare) != line) return false;
  *this = ahead;
  return true;
}

bool is_chained(std::string_view line) { return find_member(line) != std::string_view::npos; }

}  // namespace pg
