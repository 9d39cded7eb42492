// The smallest program that scores an artifact: what the counted code amounts to. The cap counts
// this file and the sources that it links with (quant/artifact_sources.txt); a test builds it from
// the counted bundle alone.
//
//   score_artifact ARTIFACT VAL_SHARDS TOKENIZER [STRIDE [CONTEXT]]
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "eval/score.h"
#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/device/cpu/cpu_device.h"

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr,
                 "usage: score_artifact ARTIFACT VAL_SHARDS TOKENIZER [STRIDE [CONTEXT]]\n");
    return 2;
  }
  try {
    const auto model = pg::unpack(pg::read_file(argv[1]));
    if (!model.ok()) throw pg::Error(model.error());
    const pg::Tokenizer tokenizer(argv[3]);
    pg::check_tokenizer(model.value(), tokenizer);
    const auto val = pg::TokenStream::open(argv[2], tokenizer.vocab_size());
    pg::EvalConfig eval;
    if (argc > 4) eval.stride = std::atoll(argv[4]);
    if (argc > 5) eval.context = std::atoll(argv[5]);
    const auto device = pg::make_cpu_device(pg::DType::kF32);
    pg::SteadyClock clock;
    const pg::Score score =
        pg::evaluate(model.value(), tokenizer.byte_table(), val, eval, *device, clock);
    std::printf("val_loss:%.8f val_bpb:%.8f\n", score.loss_nats(), score.bits_per_byte());
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "score_artifact: %s\n", error.what());
    return 1;
  }
}
