// Speed and memory of the n-gram experts on real tokens, one core: predict + learn per token.
// Usage: bench_ngram <shards glob> [tilt|linear|logit] [tokens] [vocab]. The network is a handful
// of fixed random distributions, so only the experts' own time is measured; bits against it mean
// nothing.
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "eval/mix/make_mixer.h"
#include "eval/mix/ngram_mixer.h"
#include "src/base/error.h"
#include "src/base/rng.h"
#include "src/data/token_file.h"

namespace pg {
namespace {

double cpu_s() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// Memory the process holds now, from the kernel.
double resident_bytes() {
  long pages = 0, resident = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr || std::fscanf(file, "%ld %ld", &pages, &resident) != 2) resident = 0;
  if (file != nullptr) std::fclose(file);
  return 4096.0 * static_cast<double>(resident);
}

constexpr size_t kNetworks = 16;

std::vector<std::vector<float>> make_logits(int64_t vocab_size) {
  const CounterRng rng(1, kStreamTest);
  std::vector<std::vector<float>> logits(kNetworks, std::vector<float>(size_t(vocab_size)));
  uint64_t draw = 0;
  for (auto& of_one : logits) {
    double sum = 0;
    for (float& logit : of_one) sum += std::exp(logit = static_cast<float>(2 * rng.normal(draw++)));
    for (float& logit : of_one) logit -= static_cast<float>(std::log(sum));
  }
  return logits;
}

void run(const std::string& glob, const std::string& name, int64_t tokens, int64_t vocab_size) {
  const TokenStream stream = TokenStream::open(glob, vocab_size);
  tokens = std::min(tokens, stream.size());
  std::vector<int32_t> ids(static_cast<size_t>(tokens));
  stream.read(0, ids);
  const auto logits = make_logits(vocab_size);
  const double resident_before = resident_bytes();
  MixConfig config;
  const std::optional<MixKind> kind = find_choice<MixKind>(name);
  if (!kind) throw Error("no such mixer: \"" + name + "\"; use tilt, linear or logit");
  config.kind = *kind;
  const std::unique_ptr<TokenMixer> mixer = make_mixer(config, vocab_size, tokens);
  if (mixer == nullptr) throw Error("nothing to measure: \"none\"; name another mixer");
  MixedDistribution mixed;
  double candidates = 0, checksum = 0;
  const double begin_s = cpu_s();
  double piece_begin_s = begin_s;
  const int64_t piece = std::max<int64_t>(1, tokens / 10);
  for (int64_t i = 0; i < tokens; ++i) {
    const auto& of_one = logits[static_cast<size_t>(i) % kNetworks];
    mixer->predict({.logits = of_one, .log_normaliser = 0, .entropy_nats = 3}, mixed);
    mixer->learn(ids[static_cast<size_t>(i)]);
    candidates += mixed.count;
    checksum += mixed.log_rest;
    if ((i + 1) % piece == 0) {
      const double now_s = cpu_s();
      std::printf(
          "%9.1f M tokens: %6.3f M tokens/s, %6.2f candidates, %6.1f bytes/token resident\n",
          1e-6 * double(i + 1), 1e-6 * double(piece) / (now_s - piece_begin_s),
          candidates / double(i + 1), (resident_bytes() - resident_before) / double(i + 1));
      piece_begin_s = now_s;
    }
  }
  const double total_s = cpu_s() - begin_s;
  std::printf("%s: %.3f M tokens/s, %.0f MB resident (check %.6f)\n", name.c_str(),
              1e-6 * double(tokens) / total_s, 1e-6 * (resident_bytes() - resident_before),
              checksum / double(tokens));
  if (const auto* logit = dynamic_cast<const LogitMixer*>(mixer.get())) {
    const ContextCounts& counts = logit->experts().counts();
    std::printf("contexts %.3f per token; tables hold %.1f bytes/token\n",
                double(counts.contexts()) / double(tokens),
                double(logit->experts().memory_bytes()) / double(tokens));
  }
}

}  // namespace
}  // namespace pg

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: bench_ngram <shards glob> [tilt|linear|logit] [tokens] [vocab]\n");
    return 1;
  }
  try {
    pg::run(argv[1], argc > 2 ? argv[2] : "logit", argc > 3 ? std::atoll(argv[3]) : 10'000'000,
            argc > 4 ? std::atoll(argv[4]) : 1024);
  } catch (const pg::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
