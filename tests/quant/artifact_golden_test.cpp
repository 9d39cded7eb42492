// Old artifacts must keep unpacking to the same values. The golden files are also the seeds of
// artifact_fuzz. PG_ACCEPT=1 writes them anew, after a change of the format or of the model's
// fields; say why in the commit.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "quant/format/artifact_format.h"
#include "quant/format/unpack.h"
#include "src/files/write_file.h"
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

// One in the published form, one with factored scales, and one with corrections by each coder.
void write_golden_files() {
  const std::vector<HostTensor> weights = random_weights(tiny_config(), 42);
  std::string hashes;
  const auto write = [&](const char* name, QuantModel model, CoderChoice coder = {}) {
    model.tokenizer_sha256 = sha256(as_bytes("golden"));
    QuantConfig quant = tiny_quant();
    quant.coder = coder;
    const Bytes file = seal(model, quant, 0).bytes;
    write_file_atomic(kFolder / name, file);
    hashes += hash_values(unpack(file).value()) + "\n";
  };
  write("rows.bin", quantize_plain(tiny_config(), weights, tiny_quant()));
  write("factored.bin", quantize_calibrated(tiny_config(), weights, tiny_filled_quant(2900)).model);
  QuantConfig corrected = tiny_quant();
  corrected.lqer_rank = 2;
  corrected.lqer_group = 16;
  corrected.awq_group = true;
  const QuantModel model = quantize_calibrated(tiny_config(), weights, corrected).model;
  write("corrected.bin", model);
  write("zstd.bin", model, CoderChoice::kZstd);
  write("lzma.bin", model, CoderChoice::kLzma);
  write_file_atomic("tests/quant/artifact_golden.txt", hashes);
}

TEST(ArtifactGolden, CommittedArtifactsUnpackToTheirValues) {
  if (std::getenv("PG_ACCEPT") != nullptr) write_golden_files();
  std::string hashes;
  for (const char* name : {"rows.bin", "factored.bin", "corrected.bin", "zstd.bin", "lzma.bin"}) {
    const Result<UnpackedModel> model = unpack(read_file(kFolder / name));
    ASSERT_TRUE(model.ok()) << name << ": " << model.error()
                            << "; a wanted change is accepted by PG_ACCEPT=1";
    hashes += hash_values(model.value()) + "\n";
    EXPECT_EQ(model.value().tokenizer_sha256(), sha256(as_bytes("golden")));
  }
  EXPECT_EQ(hashes, read_text_file("tests/quant/artifact_golden.txt"));
}

}  // namespace
}  // namespace pg
