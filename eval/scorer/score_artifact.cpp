// The smallest program that scores an artifact: what the counted code amounts to. The cap counts
// this file and the sources that it links with (quant/artifact_sources.txt); a test builds it from
// the counted bundle alone.
//
//   score_artifact ARTIFACT TOKENIZER VAL_SHARD...
#include <algorithm>
#include <cstdio>
#include <exception>

#include "eval/make_scorer.h"
#include "eval/score/ledger.h"
#include "eval/score/scoring_checks.h"
#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/data/shard_format.h"
#include "src/device/cpu/cpu_device.h"

namespace {

// The shards as one stream, in the order of their paths.
std::vector<int32_t> read_shards(char** begin, char** end) {
  std::vector<std::filesystem::path> paths(begin, end);
  std::sort(paths.begin(), paths.end(),
            [](const auto& a, const auto& b) { return a.native() < b.native(); });
  std::vector<int32_t> ids;
  for (const auto& path : paths) pg::append_shard(path, ids);
  return ids;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: score_artifact ARTIFACT TOKENIZER VAL_SHARD...\n");
    return 2;
  }
  try {
    const auto model = pg::unpack(pg::read_file(argv[1]));
    if (!model.ok()) throw pg::Error(model.error());
    const pg::Tokenizer tokenizer(argv[2]);
    pg::check_tokenizer(model.value(), tokenizer);
    pg::check_byte_table(tokenizer.byte_table(), model.value().config().vocab_size);
    const std::vector<int32_t> val = read_shards(argv + 3, argv + argc);
    pg::EvalConfig eval;
    eval.context = model.value().scoring().context;
    eval.stride = model.value().scoring().stride;
    const auto device = pg::make_cpu_device(pg::DType::kF32);
    const auto scorer = pg::make_scorer(model.value(), eval, *device, std::ssize(val));
    const pg::LedgerTotals totals = pg::Ledger(val, tokenizer.byte_table()).score(*scorer);
    std::printf("val_loss:%.8f val_bpb:%.8f\n", totals.loss_nats(), totals.bits_per_byte());
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "score_artifact: %s\n", error.what());
    return 1;
  }
}
