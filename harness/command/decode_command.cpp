// `train_gpt decode`: the text of a coded file, from it, the artifact and the tokenizer alone.
#include <fmt/format.h>

#include <cstdio>
#include <utility>

#include "eval/code/encode/text_correction.h"
#include "eval/code/text_decoder.h"
#include "eval/make_scorer.h"
#include "eval/score.h"
#include "eval/scoring_keys.h"
#include "harness/command/artifact_file.h"
#include "harness/command/coding_steps.h"
#include "harness/command/commands.h"
#include "harness/command/output_path.h"
#include "harness/record/progress_line.h"
#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/data/corpus/open_data.h"
#include "src/device/registry/make_device.h"
#include "src/files/write_file.h"
#include "src/text/file_kind.h"
#include "src/text/text_escape.h"
#include "src/text/text_format.h"

namespace pg {
namespace {

struct DecodeWords {
  std::filesystem::path artifact, file, tokenizer;
  std::filesystem::path out;  // empty: stdout
};

std::vector<Option> list_options(DecodeWords& w) {
  return {
      {.name = "artifact",
       .value = &w.artifact,
       .help = "the artifact it was encoded with",
       .is_required = true},
      {.name = "file",
       .value = &w.file,
       .help = "file that train_gpt encode wrote",
       .is_required = true},
      {.name = "--tokenizer",
       .value = &w.tokenizer,
       .help = "SentencePiece .model file",
       .is_required = true},
      {.name = "--out", .value = &w.out, .help = "text file to write; default stdout"},
  };
}

std::string restore_text(const std::filesystem::path& file, std::span<const uint8_t> correction,
                         std::string back) {
  if (correction.empty()) return back;
  Result<std::string> text = apply_correction(correction, back);
  if (!text.ok()) {
    throw Error(fmt::format("\"{}\": {}", escape_terminal(file.string()), text.error()));
  }
  return std::move(text.value());
}

int decode_file(const DecodeWords& words, Clock& clock) {
  prepare_output(words.out, {words.file, words.artifact, words.tokenizer});
  const double start_s = clock.now_s();
  const Bytes file = read_file(words.file);
  const Result<CodedText> coded = parse_coded_text(file);
  if (!coded.ok()) {
    const std::string_view foreign = describe_foreign_file(file);
    throw Error(fmt::format(
        "\"{}\": {}", escape_terminal(words.file.string()),
        foreign.empty() ? coded.error() : fmt::format("not a coded text: it is {}", foreign)));
  }
  const UnpackedModel model = unpack_file(words.artifact);
  check_artifact(coded.value(), model.artifact_sha256());
  const Tokenizer tokenizer = open_tokenizer_file(words.tokenizer);
  check_tokenizer(model, tokenizer);
  const auto device = make_device(kExactDevice);
  ScoringConfig own = read_scoring(model);
  check_case_ops(own.eval, tokenizer);
  own.ttt.bytes = &tokenizer.byte_table();
  const auto scorer = make_scorer(model, own, *device, coded.value().tokens);
  ProgressLine progress = ProgressLine::for_stream(stderr);
  const Result<std::vector<int32_t>> decoded = decode_text(
      *scorer, coded.value(), model.config().vocab_size, show_coding_progress(progress, "decode"));
  progress.finish();
  if (!decoded.ok()) {
    throw Error(fmt::format("\"{}\": {}", escape_terminal(words.file.string()), decoded.error()));
  }
  const std::string text = restore_text(words.file, coded.value().correction,
                                        decode_documents(TextCodec(tokenizer), decoded.value()));
  if (words.out.empty()) {
    std::fwrite(text.data(), 1, text.size(), stdout);
  } else {
    write_file_atomic(words.out, text);
  }
  progress.print(
      fmt::format("decoded {} tokens to {} bytes in {:.1f} s; their sha256 is the one "
                  "that was encoded",
                  format_thousands(coded.value().tokens),
                  format_thousands(static_cast<int64_t>(text.size())), clock.now_s() - start_s));
  return 0;
}

}  // namespace

Command make_decode_command() {
  return make_command<DecodeWords>("decode", "the text of a file that encode wrote", list_options,
                                   decode_file);
}

}  // namespace pg
