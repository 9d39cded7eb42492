#include "harness/command/coding_commands.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdio>

#include "eval/code/decode_tier.h"
#include "eval/score.h"
#include "eval/score/network_scorer.h"
#include "harness/command/commands.h"
#include "harness/recipe/recipe.h"
#include "harness/record/progress_line.h"
#include "src/base/error.h"
#include "src/device/registry/make_device.h"
#include "src/text/text_escape.h"
#include "src/text/text_format.h"

namespace pg {
namespace {

CodingProgressFn show_coding_progress(ProgressLine& progress, const char* what) {
  return [&progress, what](int64_t done, int64_t total) {
    progress.show(fmt::format("{} {:.0f}%  {} of {} tokens", what,
                              100.0 * static_cast<double>(done) / static_cast<double>(total),
                              format_thousands(done), format_thousands(total)),
                  false);
  };
}

// Documents in turn, each on a line of its own when there are several.
std::string decode_documents(const Tokenizer& tokenizer, std::span<const int32_t> tokens) {
  std::string text;
  for (size_t begin = 0; begin < tokens.size();) {
    size_t end = begin + 1;
    while (end < tokens.size() && tokens[end] != kBosId) ++end;
    if (begin > 0) text += '\n';
    const size_t first = tokens[begin] == kBosId ? begin + 1 : begin;
    text += tokenizer.decode(tokens.subspan(first, end - first));
    begin = end;
  }
  return text;
}

std::vector<int32_t> read_tokens(const EncodeCommand& command, const Recipe& recipe,
                                 const Tokenizer& tokenizer, ProgressLine& progress) {
  if (command.text.empty()) {
    const TokenStream stream = TokenStream::open(recipe.data.val_shards, tokenizer.vocab_size());
    std::vector<int32_t> tokens(static_cast<size_t>(stream.size()));
    stream.read(0, tokens);
    return tokens;
  }
  const std::string text = read_text_file(command.text);
  std::vector<int32_t> tokens = tokenizer.encode_document(text);
  const std::string back = decode_documents(tokenizer, tokens);
  if (back != text) {
    progress.warn(
        fmt::format("the tokenizer's normalisation changes the text: {} bytes will be decoded to "
                    "{} bytes",
                    format_thousands(static_cast<int64_t>(text.size())),
                    format_thousands(static_cast<int64_t>(back.size()))));
  }
  return tokens;
}

void check_same(const Sha256& want, const Sha256& have, const char* what) {
  if (want == have) return;
  throw Error(fmt::format(
      "{} is not the one of the coded text: sha256 \"{}\" given, \"{}\" in the file; decode with "
      "what it was encoded with",
      what, hex(have), hex(want)));
}

}  // namespace

int encode_file(const EncodeCommand& command, Clock& clock) {
  const double start_s = clock.now_s();
  const Recipe recipe = load_recipe(command.recipe, command.sets, process_environment).recipe;
  if (recipe.data.tokenizer.empty() || (recipe.data.val_shards.empty() && command.text.empty())) {
    throw Error("encode: no text or tokenizer; give --tokenizer and --text or --data");
  }
  const UnpackedModel model = unpack_file(command.artifact);
  const Tokenizer tokenizer(recipe.data.tokenizer);
  check_tokenizer(model, tokenizer);
  ProgressLine progress = ProgressLine::for_stream(stderr);
  const std::vector<int32_t> tokens = read_tokens(command, recipe, tokenizer, progress);
  const CodingKey key = {.artifact_sha256 = model.artifact_sha256(),
                         .tokenizer_sha256 = tokenizer.sha256(),
                         .context = recipe.eval.context,
                         .stride = recipe.eval.stride,
                         .windows = recipe.eval.windows};
  const auto device = make_device(recipe.track.device);
  if (recipe.ttt.kind != "none") {
    progress.warn("a coded text does not learn: ttt.kind is left out of its figures");
  }
  NetworkScorer scorer(model, make_coding_config(key), *device);
  const EncodedText encoded = encode_text(scorer, tokens, tokenizer.byte_table(), key,
                                          show_coding_progress(progress, "encode"));
  progress.finish();
  write_file_atomic(command.out, encoded.file);
  const LedgerTotals& totals = encoded.totals;
  const double payload_bits = 8.0 * static_cast<double>(encoded.payload_bytes);
  fmt::print(
      "coded_bytes:{} payload_bytes:{} text_bytes:{} tokens:{} val_bpb:{:.8f} metered_bits:{:.1f} "
      "payload_over_metered:{:+.4f}% encode_time:{:.0f}ms\n",
      encoded.file.size(), encoded.payload_bytes, totals.bytes, totals.tokens,
      totals.bits_per_byte(), totals.bits, 100 * (payload_bits / totals.bits - 1),
      (clock.now_s() - start_s) * 1e3);
  return 0;
}

int decode_file(const DecodeCommand& command, Clock& clock) {
  const double start_s = clock.now_s();
  const Bytes file = read_file(command.file);
  const Result<CodedText> coded = parse_coded_text(file);
  if (!coded.ok()) {
    throw Error(fmt::format("\"{}\": {}", escape_terminal(command.file.string()), coded.error()));
  }
  const CodingKey& key = coded.value().key;
  const UnpackedModel model = unpack_file(command.artifact);
  check_same(key.artifact_sha256, model.artifact_sha256(), "artifact");
  const Tokenizer tokenizer(command.tokenizer);
  check_same(key.tokenizer_sha256, tokenizer.sha256(), "tokenizer");
  const auto device = make_device(command.device);
  NetworkScorer scorer(model, make_coding_config(key), *device);
  ProgressLine progress = ProgressLine::for_stream(stderr);
  const Result<std::vector<int32_t>> decoded = decode_text(
      scorer, coded.value(), model.config().vocab_size, show_coding_progress(progress, "decode"));
  progress.finish();
  if (!decoded.ok()) {
    throw Error(fmt::format("\"{}\": {}", escape_terminal(command.file.string()), decoded.error()));
  }
  const std::string text = decode_documents(tokenizer, decoded.value());
  if (command.out.empty()) {
    std::fwrite(text.data(), 1, text.size(), stdout);
  } else {
    write_file_atomic(command.out, text);
  }
  progress.print(
      fmt::format("decoded {} tokens to {} bytes in {:.1f} s; their sha256 is the one "
                  "that was encoded",
                  format_thousands(coded.value().tokens),
                  format_thousands(static_cast<int64_t>(text.size())), clock.now_s() - start_s));
  return 0;
}

}  // namespace pg
