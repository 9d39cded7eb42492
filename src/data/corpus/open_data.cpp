#include "src/data/corpus/open_data.h"

#include <fmt/format.h>

#include "src/base/error.h"
#include "src/text/file_kind.h"

namespace pg {

Tokenizer open_tokenizer_file(const std::filesystem::path& model_file) {
  try {
    return Tokenizer(model_file);
  } catch (const Error&) {
    const std::string_view foreign = describe_foreign_file_at(model_file);
    if (foreign.empty()) throw;
    throw Error(fmt::format("no SentencePiece model: \"{}\" is {}", model_file.string(), foreign));
  }
}

TokenStream open_shard_files(std::string_view shards, int64_t vocab_size) {
  try {
    return TokenStream::open(shards, vocab_size);
  } catch (const Error&) {
    for (const std::filesystem::path& path : list_shard_files(shards)) {
      const std::string_view foreign = describe_foreign_file_at(path);
      if (foreign.empty()) continue;
      throw Error(fmt::format("bad token shard: \"{}\": it is {}", path.string(), foreign));
    }
    throw;
  }
}

}  // namespace pg
