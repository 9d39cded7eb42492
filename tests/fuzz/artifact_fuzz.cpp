// Fuzzes the artifact parser behind its hash too, which random bytes would never pass. Each input
// is tried as an artifact, and as one whose last 32 bytes are replaced by the right hash.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "quant/format/artifact_format.h"
#include "quant/format/unpack.h"

namespace {

void try_with_right_hash(std::span<const uint8_t> input) {
  if (input.size() < sizeof(pg::Sha256)) return;
  const auto body = input.first(input.size() - sizeof(pg::Sha256));
  pg::Bytes file(body.begin(), body.end());
  const pg::Sha256 digest = pg::sha256(body);
  file.insert(file.end(), digest.begin(), digest.end());
  const pg::Result<pg::QuantModel> model = pg::parse_artifact(file);
  if (!model) return;
  // What the parser accepts must be the one encoding of its model. Of a stream of zstd or lzma there
  // are many, but the model must be one that our coder can hold.
  pg::QuantModel same = model.value();
  same.coder = pg::Coder::kOwn;
  const pg::Bytes own = pg::encode_artifact(same);
  if (model.value().coder == pg::Coder::kOwn ? own != file : !pg::parse_artifact(own)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const uint8_t> input(data, size);
  (void)pg::unpack(input);
  try_with_right_hash(input);
  return 0;
}
