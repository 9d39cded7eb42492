// `train_gpt size`: what an artifact takes of the cap, by what it holds.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string_view>
#include <vector>

#include "eval/scoring_keys.h"
#include "harness/command/artifact_file.h"
#include "harness/command/commands.h"
#include "harness/record/code_features.h"
#include "harness/record/coder_table.h"
#include "harness/record/progress_line.h"
#include "quant/format/artifact_format.h"
#include "quant/method/seal.h"
#include "src/base/bytes.h"
#include "src/text/text_format.h"

namespace pg {
namespace {

struct SizeWords {
  std::filesystem::path artifact;
  std::vector<int64_t> caps_bytes;  // empty: 1,000,000 and the default of quant.cap_bytes
  bool tensors = false;             // a table of them too
};

std::vector<Option> list_options(SizeWords& w) {
  return {
      {.name = "artifact",
       .value = &w.artifact,
       .help = "final_model.int6.bin",
       .is_required = true},
      {.name = "--cap",
       .value = &w.caps_bytes,
       .help = "cap in bytes; repeatable; default 1000000, 16000000",
       .range = OptionRange{1, 1'000'000'000'000}},
      {.name = "--tensors", .value = &w.tensors, .help = "a table of the tensors too"},
  };
}

constexpr int64_t kSmallCap_bytes = 1'000'000;  // of the tracks for CPUs

void print_row(std::string_view what, int64_t value, const std::string& note = "") {
  fmt::print("{:<16}{:>15}{}\n", what, format_thousands(value), note);
}

// Parts of the file; they sum to it. Within the stream the coder's prices count, rounded; what they
// leave are the ends of its states.
void print_parts(int64_t file_bytes, int64_t header_bytes, const std::vector<TensorBytes>& spent) {
  const auto sum = [&](double TensorBytes::*part) {
    double bytes = 0;
    for (const TensorBytes& tensor : spent) bytes += tensor.*part;
    return std::llround(bytes);
  };
  int64_t rest = file_bytes;
  const auto row = [&](const char* what, int64_t bytes) {
    print_row(what, bytes);
    rest -= bytes;
  };
  row("  header", header_bytes);
  row("  codes", sum(&TensorBytes::codes));
  row("  scales", sum(&TensorBytes::scales));
  row("  fp16 values", sum(&TensorBytes::values));
  row("  low rank", sum(&TensorBytes::low_rank));
  row("  sha-256", static_cast<int64_t>(sizeof(Sha256)));
  print_row("  coder's ends", rest);
}

void print_tensors(const QuantModel& model, const std::vector<TensorBytes>& spent) {
  fmt::print("\n{:<24} {:>12} {:>4} {:>12} {:>8}\n", "tensor", "shape", "bits", "bytes",
             "b/weight");
  for (size_t i = 0; i < model.tensors.size(); ++i) {
    const QuantTensor& t = model.tensors[i];
    const double bytes = spent[i].total();
    fmt::print("{:<24} {:>12} {:>4} {:>12.1f} {:>8.3f}\n", t.name,
               fmt::format("{} x {}", t.rows, t.cols), t.bits, bytes,
               8 * bytes / static_cast<double>(t.rows * t.cols));
  }
}

// Seconds for each megabyte.
void print_coders(const QuantModel& model, const CodeSizes& code_bytes) {
  std::fflush(stdout);  // what came before is there to be read
  ProgressLine progress = ProgressLine::for_stream(stderr);
  const auto coders = compare_coders(model, code_bytes,
                                     [&](const std::string& work) { progress.show(work, false); });
  progress.finish();
  for (const std::string& line : describe_coders(coders)) fmt::print("{}\n", line);
}

int print_size(const SizeWords& words, Clock&) {
  const Bytes file = read_file(words.artifact);
  const Result<QuantModel> parsed = parse_artifact(file);
  if (!parsed.ok()) throw not_an_artifact(words.artifact, parsed.error());
  const QuantModel& model = parsed.value();
  std::vector<TensorBytes> spent;
  encode_weights(model, &spent);
  const std::vector<int64_t> caps_bytes =
      words.caps_bytes.empty() ? std::vector{kSmallCap_bytes, QuantConfig{}.cap_bytes}
                               : words.caps_bytes;
  const auto model_bytes = static_cast<int64_t>(file.size());
  const ScoringConfig scoring = read_scoring_keys(model.scoring_keys);
  const CodeFeatures features = code_features(model.config, scoring, model.coder);
  const int64_t code_bytes = counted_code_bytes(features);
  const int64_t total_bytes = model_bytes + code_bytes;
  int64_t params = 0;
  for (const QuantTensor& t : model.tensors) params += t.rows * t.cols;
  print_row("model bytes", model_bytes);
  print_parts(model_bytes, static_cast<int64_t>(encode_header(model).size()), spent);
  print_row("code bytes", code_bytes,
            fmt::format("  zpaq of {} source files, {}", counted_code_files(features),
                        describe_features(features)));
  print_row("total bytes", total_bytes);
  for (const int64_t cap_bytes : caps_bytes) {
    print_row("cap bytes", cap_bytes);
    print_row("left", cap_bytes - total_bytes);
  }
  print_row("parameters", params);
  fmt::print("{:<16}{:>15.3f}\n", "bits/weight",
             8.0 * static_cast<double>(model_bytes) / static_cast<double>(params));
  print_coders(model, code_sizes(model.config, scoring));
  if (words.tensors) print_tensors(model, spent);
  // A cap that was asked for must hold; of the default ones the larger is the challenge's.
  const int64_t must_hold_bytes =
      words.caps_bytes.empty() ? caps_bytes.back() : std::ranges::min(caps_bytes);
  return total_bytes <= must_hold_bytes ? 0 : 1;
}

}  // namespace

Command make_size_command() {
  return make_command<SizeWords>("size", "what an artifact takes of the cap", list_options,
                                 print_size);
}

}  // namespace pg
