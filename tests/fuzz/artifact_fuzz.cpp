// Fuzzes the artifact parser behind its hash too, which random bytes would never pass. Each input
// is tried as an artifact, as an artifact whose last 32 bytes are replaced by the right hash, and
// as a header followed by the payload before compression.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "quant/artifact_format.h"
#include "quant/unpack.h"

namespace {

void try_with_right_hash(std::span<const uint8_t> input) {
  if (input.size() < sizeof(pg::Sha256)) return;
  const auto body = input.first(input.size() - sizeof(pg::Sha256));
  pg::Bytes file(body.begin(), body.end());
  const pg::Sha256 digest = pg::sha256(body);
  file.insert(file.end(), digest.begin(), digest.end());
  (void)pg::unpack(file);
}

// What the parser accepts must be the one encoding of its model.
void try_raw_payload(std::span<const uint8_t> input) {
  pg::ByteReader reader(input);
  const pg::Result<pg::ArtifactHeader> header = pg::parse_header(reader);
  if (!header) return;
  const pg::PayloadLayout layout = pg::plan_payload(header.value().config, header.value().bits);
  if (layout.raw_bytes() > uint64_t{1} << 20) return;
  const auto rest = reader.bytes(reader.remaining());
  pg::Bytes raw(rest.begin(), rest.end());
  raw.resize(layout.raw_bytes());
  const pg::Result<pg::QuantModel> model = pg::parse_payload(header.value(), layout, raw);
  if (model && pg::encode_payload(model.value()) != raw) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const uint8_t> input(data, size);
  (void)pg::unpack(input);
  try_with_right_hash(input);
  try_raw_payload(input);
  return 0;
}
