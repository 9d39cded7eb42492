#include "eval/code/coded_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>

#include "src/base/error.h"

namespace pg {
namespace {

constexpr uint32_t kMagic = 0x58544750;  // "PGTX"
constexpr uint32_t kVersion = 3;
// Bounds what a stranger's header may make a decoder allocate.
constexpr int64_t kMostStreamTokens = int64_t{1} << 28;

bool is_possible(int64_t tokens) { return tokens >= 1 && tokens <= kMostStreamTokens; }

Sha256 read_sha256(ByteReader& reader) {
  Sha256 hash = {};
  const auto bytes = reader.bytes(hash.size());
  if (bytes.size() == hash.size()) std::copy(bytes.begin(), bytes.end(), hash.begin());
  return hash;
}

}  // namespace

void TokenCheck::add(int32_t token) {
  hash_ = fnv1a(std::bit_cast<std::array<uint8_t, sizeof token>>(token), hash_);
}

Sha256 hash_tokens(std::span<const int32_t> tokens) {
  ByteWriter writer;
  for (const int32_t token : tokens) writer.u32(static_cast<uint32_t>(token));
  return sha256(writer.buffer());
}

Failure describe_damage(const std::string& how) {
  return {"coded text is damaged: " + how + "; encode the text again"};
}

void check_artifact(const CodedText& text, const Sha256& artifact_sha256) {
  if (text.artifact_sha256 == artifact_sha256) return;
  throw Error(
      fmt::format("the artifact is not the one of the coded text: sha256 \"{}\" given, \"{}\" in "
                  "the file; decode "
                  "with what it was encoded with",
                  hex(artifact_sha256), hex(text.artifact_sha256)));
}

// <train_gpt>
Bytes write_coded_text(const CodedText& text) {
  if (!is_possible(text.tokens)) {
    throw Error(
        fmt::format("text cannot be coded: {} tokens; 1 to {}", text.tokens, kMostStreamTokens));
  }
  ByteWriter writer;
  writer.u32(kMagic);
  writer.u32(kVersion);
  writer.bytes(text.artifact_sha256);
  writer.u64(static_cast<uint64_t>(text.tokens));
  writer.u32(static_cast<uint32_t>(text.first_token));
  writer.u64(text.first_table_hash);
  writer.bytes(text.tokens_sha256);
  writer.u32(static_cast<uint32_t>(text.payload.size()));
  writer.u32(static_cast<uint32_t>(text.correction.size()));
  for (const uint16_t check : text.checks) writer.u16(check);
  writer.bytes(text.payload);
  writer.bytes(text.correction);
  return writer.take();
}
// </train_gpt>

Result<CodedText> parse_coded_text(std::span<const uint8_t> file) {
  ByteReader reader(file);
  if (reader.u32() != kMagic || !reader.ok()) {
    return Failure{
        "not a coded text: its first bytes are another file's; give a file that "
        "train_gpt encode wrote"};
  }
  if (const uint32_t version = reader.u32(); version != kVersion) {
    return Failure{
        fmt::format("coded text has version {}, this program reads {}", version, kVersion)};
  }
  CodedText text;
  text.artifact_sha256 = read_sha256(reader);
  const uint64_t tokens = reader.u64();
  const uint32_t first_token = reader.u32();
  text.first_table_hash = reader.u64();
  text.tokens_sha256 = read_sha256(reader);
  const uint32_t payload_bytes = reader.u32();
  const uint32_t correction_bytes = reader.u32();
  if (!reader.ok()) return describe_damage("its header is cut short");
  // Clamped, a number of tokens stays out of range.
  text.tokens = static_cast<int64_t>(std::min<uint64_t>(tokens, INT64_MAX));
  if (!is_possible(text.tokens)) {
    return describe_damage(fmt::format("{} tokens; 1 to {}", text.tokens, kMostStreamTokens));
  }
  if (first_token > 0xffff)
    return describe_damage(fmt::format("its first token is {}", first_token));
  const auto checks = static_cast<uint64_t>(text.tokens / kCheckTokens);
  const uint64_t body_bytes = 2 * checks + payload_bytes + correction_bytes;
  if (body_bytes != reader.remaining()) {
    return describe_damage(fmt::format("{} bytes of {} are there", reader.remaining(), body_bytes));
  }
  for (uint64_t i = 0; i < checks; ++i) text.checks.push_back(reader.u16());
  text.first_token = static_cast<int32_t>(first_token);
  text.payload = reader.bytes(payload_bytes);
  text.correction = reader.bytes(correction_bytes);
  return text;
}

}  // namespace pg
