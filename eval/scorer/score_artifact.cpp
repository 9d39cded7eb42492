// The smallest program that scores an artifact: what the counted code amounts to. The cap counts
// this file and the sources that it links with (quant/artifact_sources.txt); a test builds it from
// the counted bundle alone.
//
//   score_artifact ARTIFACT TOKENIZER VAL_SHARD...    what the artifact's own scoring charges
//   score_artifact ARTIFACT TOKENIZER --decode CODED_TEXT IDS
//                                                     the text of a record's val.pgt as ids, u16
#include <algorithm>
#include <cstdio>
#include <exception>
#include <fstream>
#include <numbers>
#include <string_view>

#include "eval/code/text_decoder.h"
#include "eval/make_scorer.h"
#include "eval/score/ledger.h"
#include "eval/score/scoring_checks.h"
#include "eval/scoring_keys.h"
#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/data/shard_format.h"
#include "src/device/cpu/cpu_device.h"

namespace {

// The shards as one stream, in the order of their paths.
std::vector<int32_t> read_shards(char** begin, char** end) {
  std::vector<std::filesystem::path> paths(begin, end);
  // <parts>
  // A glob for shards matches their byte side files too: those that stand beside a shard of the list.
  const std::vector<std::filesystem::path> all = paths;
  std::erase_if(paths, [&](const auto& path) {
    std::string shard = path.native();
    const size_t at = shard.rfind("_bytes_");
    return at != std::string::npos &&
           std::find(all.begin(), all.end(), shard.erase(at, 6)) != all.end();
  });
  // </parts>
  std::sort(paths.begin(), paths.end(),
            [](const auto& a, const auto& b) { return a.native() < b.native(); });
  std::vector<int32_t> ids;
  for (const auto& path : paths) pg::append_shard(path, ids);
  return ids;
}

void print_score(double bits, const pg::LedgerTotals& of) {
  std::printf("val_loss:%.8f val_bpb:%.8f",
              bits * std::numbers::ln2 / static_cast<double>(of.tokens),
              bits / static_cast<double>(of.bytes));
}

// The score is the payload's length.
void decode(pg::Scorer& scorer, const pg::CodedText& text, const pg::ByteTable& bytes,
            const char* out) {
  const auto ids = pg::decode_text(scorer, text, std::ssize(bytes.bytes));
  if (!ids.ok()) throw pg::Error(ids.error());
  pg::LedgerTotals totals;
  totals.tokens = text.tokens - 1;
  for (size_t i = 1; i < ids.value().size(); ++i) {
    totals.bytes += bytes.token_bytes(ids.value(), i);
  }
  const std::vector<uint16_t> shard(ids.value().begin(), ids.value().end());
  std::ofstream file(out, std::ios::binary);
  file.write(reinterpret_cast<const char*>(shard.data()),
             static_cast<std::streamsize>(shard.size() * sizeof(uint16_t)));
  if (!file.flush()) throw pg::Error(std::string("cannot write ") + out);
  print_score(8.0 * static_cast<double>(text.payload.size()), totals);
  std::printf(" decoded_tokens:%lld\n", static_cast<long long>(text.tokens));
}

}  // namespace

int main(int argc, char** argv) {
  const bool decodes = argc == 6 && std::string_view(argv[3]) == "--decode";
  if (argc < 4 || (!decodes && argv[3][0] == '-')) {
    std::fprintf(stderr,
                 "usage: score_artifact ARTIFACT TOKENIZER VAL_SHARD...\n"
                 "       score_artifact ARTIFACT TOKENIZER --decode CODED_TEXT IDS\n");
    return 2;
  }
  try {
    const auto model = pg::unpack(pg::read_file(argv[1]));
    if (!model.ok()) throw pg::Error(model.error());
    const pg::Tokenizer tokenizer(argv[2]);
    pg::check_tokenizer(model.value(), tokenizer);
    const pg::ByteTable& bytes = tokenizer.byte_table();
    pg::check_byte_table(bytes, model.value().config().vocab_size);
    pg::ScoringConfig scoring = pg::read_scoring(model.value());
    // <parts>
    scoring.ttt.bytes = &bytes;
    // </parts>
    const auto device = pg::make_cpu_device(pg::DType::kF32);
    const auto make_scorer = [&](int64_t tokens) {
      return pg::make_scorer(model.value(), scoring, *device, tokens);
    };
    if (decodes) {
      const pg::Bytes file = pg::read_file(argv[4]);
      const auto text = pg::parse_coded_text(file);
      if (!text.ok()) throw pg::Error(text.error());
      pg::check_artifact(text.value(), model.value().artifact_sha256());
      decode(*make_scorer(text.value().tokens), text.value(), bytes, argv[5]);
      return 0;
    }
    const std::vector<int32_t> val = read_shards(argv + 3, argv + argc);
    const pg::LedgerTotals totals = pg::Ledger(val, bytes).score(*make_scorer(std::ssize(val)));
    print_score(totals.bits, totals);
    std::printf("\n");
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "score_artifact: refused: %s\n", error.what());
    return 1;
  }
}
