// `train_gpt export`: an artifact's weights, dequantised, for other programs.
#include <fmt/format.h>

#include "harness/command/artifact_file.h"
#include "harness/command/commands.h"
#include "harness/command/output_path.h"
#include "harness/exchange/weights_file.h"
#include "src/model/model.h"
#include "src/text/text_escape.h"
#include "src/text/text_format.h"

namespace pg {
namespace {

struct ExportWords {
  std::filesystem::path artifact, out;
};

std::vector<Option> list_options(ExportWords& w) {
  return {
      {.name = "artifact",
       .value = &w.artifact,
       .help = "final_model.int6.bin",
       .is_required = true},
      {.name = "out", .value = &w.out, .help = ".safetensors file to write", .is_required = true},
  };
}

int export_weights(const ExportWords& words, Clock&) {
  prepare_output(words.out, {words.artifact});
  const UnpackedModel model = unpack_file(words.artifact);
  std::FILE* const summary = summary_stream(words.out);  // before the file has another inode
  const int64_t bytes =
      write_weights_file(words.out, {model.config(), model.tokenizer_sha256(), model.tensors()});
  fmt::print(summary, "{}: {} tensors, {} parameters, {} bytes\n",
             escape_terminal(words.out.string()), model.tensors().size(),
             format_thousands(count_params(model.config())), format_thousands(bytes));
  return 0;
}

}  // namespace

Command make_export_command() {
  return make_command<ExportWords>("export", "an artifact's dequantised weights as safetensors",
                                   list_options, export_weights);
}

}  // namespace pg
