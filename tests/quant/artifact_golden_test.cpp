// Old artifacts must keep unpacking to the same values. The golden files are also the seeds of
// artifact_fuzz. PG_ACCEPT=1 writes them anew, after a change of the format or of the model's
// fields; say why in the commit.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "quant/artifact_format.h"
#include "quant/unpack.h"
#include "tests/quant/quant_fixtures.h"

namespace pg {
namespace {

const std::filesystem::path kFolder = "tests/fuzz/corpus/artifact";

std::string hash_values(const UnpackedModel& model) {
  ByteWriter all;
  for (const HostTensor& tensor : model.tensors()) {
    all.string(tensor.spec.name);
    for (const float value : tensor.values) all.f32(value);
  }
  return hex(sha256(all.buffer()));
}

void write_golden_files() {
  QuantConfig quant = tiny_quant();
  const QuantModel model =
      quantize(tiny_config(), random_weights(tiny_config(), 42), sha256(as_bytes("golden")), quant);
  for (const char* compressor : {"zstd", "lzma"}) {
    quant.compressor = compressor;
    const Bytes file = seal(model, quant, 0).bytes;
    write_file_atomic(kFolder / (std::string(compressor) + ".bin"), file);
    write_file_atomic("tests/quant/artifact_golden.txt", hash_values(unpack(file).value()) + "\n");
  }
  const ArtifactHeader header{
      .tokenizer_sha256 = {}, .config = model.config, .bits = tensor_bits(model)};
  write_file_atomic(kFolder / "raw.bin", encode_artifact(header, encode_payload(model)));
}

TEST(ArtifactGolden, CommittedArtifactsUnpackToTheirValues) {
  if (std::getenv("PG_ACCEPT") != nullptr) write_golden_files();
  const std::string expected = read_text_file("tests/quant/artifact_golden.txt");
  for (const char* name : {"zstd.bin", "lzma.bin"}) {
    const Result<UnpackedModel> model = unpack(read_file(kFolder / name));
    ASSERT_TRUE(model.ok()) << name << ": " << model.error()
                            << "; a wanted change is accepted by PG_ACCEPT=1";
    EXPECT_EQ(hash_values(model.value()) + "\n", expected) << name;
    EXPECT_EQ(model.value().tokenizer_sha256(), sha256(as_bytes("golden")));
  }
}

}  // namespace
}  // namespace pg
