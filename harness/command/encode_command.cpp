// `train_gpt encode`: a text as a file of the score's length.
#include <fmt/format.h>

#include "eval/code/encode/text_correction.h"
#include "eval/code/encode/text_encoder.h"
#include "eval/make_scorer.h"
#include "harness/command/coding_steps.h"
#include "harness/command/commands.h"
#include "harness/command/output_path.h"
#include "harness/command/scoring_session.h"
#include "harness/record/progress_line.h"
#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/files/write_file.h"
#include "src/text/text_escape.h"
#include "src/text/text_format.h"

namespace pg {
namespace {

struct EncodeWords {
  ScoringWords scoring;
  std::filesystem::path text;  // one document; empty: the shards
  bool is_normalised = false;  // what the tokenizer makes of the text will do
  std::filesystem::path out;
};

std::vector<Option> list_options(EncodeWords& w) {
  w.scoring.needs_own_scoring = true;
  return list_scoring_options(
      w.scoring,
      {{.name = "--text",
        .value = &w.text,
        .help = "a text file, taken as one document",
        .excludes = "--data"},
       {.name = "--normalised",
        .value = &w.is_normalised,
        .help =
            "keep only what the tokenizer gives back of the text: line breaks may become spaces"},
       {.name = "--out", .value = &w.out, .help = "file to write", .is_required = true}});
}

struct Document {
  std::vector<int32_t> tokens;
  Bytes correction;       // empty: the tokens give the text back, or are all that is wanted
  size_t text_bytes = 0;  // of the file; 0: of none
};

Document read_document(const EncodeWords& words, const Tokenizer& tokenizer,
                       ProgressLine& progress) {
  const std::string text = read_text_file(words.text);
  const TextCodec codec(tokenizer);
  Document document = {
      .tokens = codec.encode_document(text), .correction = {}, .text_bytes = text.size()};
  const std::string back = decode_documents(codec, document.tokens);
  if (back == text) return document;
  if (words.is_normalised) {
    progress.warn(fmt::format("what will be decoded is the text as normalised: {} bytes of {}",
                              format_thousands(static_cast<int64_t>(back.size())),
                              format_thousands(static_cast<int64_t>(text.size()))));
  } else {
    document.correction = make_correction(text, back);
  }
  return document;
}

int encode_file(const EncodeWords& words, Clock& clock) {
  const ScoringWords& scoring = words.scoring;
  prepare_output(words.out, {words.text, scoring.artifact, scoring.tokenizer, scoring.recipe});
  const double start_s = clock.now_s();
  const ScoringSession session = open_scoring_session(
      words.scoring, words.text.empty() ? SessionText::kShards : SessionText::kOther,
      "encode: no text or tokenizer; give --tokenizer and --text or --data");
  const auto& [model, tokenizer, device, recipe, shards, foreign, ttt] = session;
  ProgressLine progress = ProgressLine::for_stream(stderr);
  const auto [tokens, correction, text_bytes] =
      shards ? Document{shards->read_all(), {}, 0} : read_document(words, tokenizer, progress);
  ScoringConfig own = recipe.scoring();
  own.ttt.bytes = &tokenizer.byte_table();
  const auto scorer = make_scorer(model, own, *device, static_cast<int64_t>(tokens.size()));
  const EncodedText encoded =
      encode_text(*scorer, tokens, tokenizer.byte_table(), model.artifact_sha256(),
                  show_coding_progress(progress, "encode"), correction);
  progress.finish();
  std::FILE* const summary = summary_stream(words.out);  // before the file has another inode
  write_file_atomic(words.out, encoded.file);
  const LedgerTotals& totals = encoded.totals;
  const double payload_bits = 8.0 * static_cast<double>(encoded.payload_bytes);
  const double payload_excess = totals.bits > 0 ? payload_bits / totals.bits - 1 : 0;
  fmt::print(
      summary,
      "coded_bytes:{} payload_bytes:{} correction_bytes:{} text_bytes:{} scored_bytes:{} tokens:{} "
      "val_bpb:{:.8f} "
      "metered_bits:{:.1f} "
      "payload_over_metered:{:+.4f}% encode_time:{:.0f}ms\n",
      encoded.file.size(), encoded.payload_bytes, correction.size(),
      text_bytes > 0 ? static_cast<int64_t>(text_bytes) : totals.bytes, totals.bytes, totals.tokens,
      totals.bits_per_byte(), totals.bits, 100 * payload_excess, (clock.now_s() - start_s) * 1e3);
  return 0;
}

}  // namespace

Command make_encode_command() {
  return make_command<EncodeWords>("encode", "a text as a file of the score's length", list_options,
                                   encode_file);
}

}  // namespace pg
