// Opening a tokenizer or shards that somebody names: a file that went wrong on the way is named for
// what it is.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string_view>

#include "src/data/token_file.h"
#include "src/data/tokenizer.h"

namespace pg {

Tokenizer open_tokenizer_file(const std::filesystem::path& model_file);
TokenStream open_shard_files(std::string_view shards, int64_t vocab_size);

}  // namespace pg
