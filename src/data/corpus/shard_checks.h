// Whether shards are what their manifest says, and whether a text that is to be scored stands in
// the one that is trained on. Shards without a manifest (the challenge's own) are taken as they
// are.
//
// What is found comes as a list of faults, each a message, so that a run may go on in spite of them
// (data.force) and say so in its record.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/hash.h"
#include "src/data/token_file.h"
#include "src/data/tokenizer.h"

namespace pg {

using DataFaults = std::vector<std::string>;

// From the files alone, without reading tokens: shards that the manifest lists and that are gone,
// of another size or not listed; documents whose bytes the byte table does not count. `shards` is a
// folder, a file or a glob; it may name a part of what a manifest lists. Throws Error when a
// manifest names another tokenizer or an unfinished run, which no run can go on with.
DataFaults find_shard_faults(std::string_view shards, const Sha256& tokenizer_sha256);

// Also from the files alone: shards of text that did not go through the case transform where the
// tokenizer has its operators.
DataFaults find_transform_faults(std::string_view shards, const Tokenizer& tokenizer);

// Also from the files alone: validation shards that are to be trained on, training shards that are
// to be scored, several splits scored as one. Shards without a manifest are of any split.
enum class TextUse : uint8_t { kTrained, kScored };
DataFaults find_split_faults(std::string_view shards, TextUse use);

// From the tokens: shards whose content, name or number of documents is not what the manifest says.
DataFaults find_content_faults(const TokenStream& stream);

// Of a text that is scored: a sum of bytes that is not the manifest's, and unknown tokens, which
// stand for bytes that nobody counts.
DataFaults find_byte_faults(const TokenStream& val, const Tokenizer& tokenizer);

// The scored text in the trained one: the same files, or the same documents or long runs of tokens.
// Of more than 33 million training tokens an even sample is searched.
DataFaults find_overlap_faults(const TokenStream& train, const TokenStream& val);

// Of shards without a manifest: documents that the tokenizer does not make again of their own text
// are of another tokenizer.
DataFaults find_tokenizer_faults(const TokenStream& val, const Tokenizer& tokenizer);

// Whether a manifest lists shards that the stream does not hold.
bool is_part_of_manifest(const TokenStream& stream);

// Throws the first fault as an Error that says what lets a run go on; gives them all when `force`.
DataFaults refuse_faults(DataFaults faults, bool force);

// find_shard_faults() for those who take none.
void check_tokenizer_of_shards(std::string_view shards, const Sha256& tokenizer_sha256);

}  // namespace pg
