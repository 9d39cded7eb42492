#include "harness/record/run_room.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <cstdint>
#include <system_error>

#include "harness/record/run_folder.h"
#include "src/base/error.h"
#include "src/model/model.h"
#include "src/text/text_format.h"
#include "src/train/checkpoint.h"
#include "src/train/training_params.h"

namespace pg {
namespace {

int64_t checkpoint_bytes_of(const Recipe& recipe) {
  return checkpoint_bytes(checkpoint_sizes(list_training_params(recipe.model, recipe.train),
                                           recipe.train, recipe.optimizer));
}

int64_t file_bytes(const std::filesystem::path& file) {
  std::error_code error;
  const auto bytes = static_cast<int64_t>(std::filesystem::file_size(file, error));
  return error ? 0 : bytes;
}

}  // namespace

void check_file_limit(const Recipe& recipe) {
  struct rlimit limit = {};
  const int64_t needed = checkpoint_bytes_of(recipe);
  if (::getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
      limit.rlim_cur >= static_cast<rlim_t>(needed)) {
    return;
  }
  throw Error(fmt::format(
      "the limit on file sizes is below what the run writes: {} bytes are allowed, the "
      "checkpoint takes {}; raise it with \"ulimit -f unlimited\" or make the model "
      "smaller",
      format_thousands(static_cast<int64_t>(limit.rlim_cur)), format_thousands(needed)));
}

std::string find_lack_of_room(const std::filesystem::path& folder, const Recipe& recipe) {
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(folder, error);
  const RunFolder files = {.path = folder};
  const int64_t weights = count_params(recipe.model) * static_cast<int64_t>(sizeof(float));
  const int64_t needed = 2 * checkpoint_bytes_of(recipe) + weights -
                         file_bytes(files.checkpoint()) - file_bytes(files.weights());
  if (error || needed <= 0 || space.available >= static_cast<uintmax_t>(needed)) return {};
  return fmt::format(
      "the disk of the output folder has {} bytes free, the checkpoints and the weights take {}: "
      "free some space or choose another with --out, or they will not be kept",
      format_thousands(static_cast<int64_t>(space.available)), format_thousands(needed));
}

}  // namespace pg
