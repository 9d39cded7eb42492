// Runs of tokens of a stream, hashed, to look for one text in another without decoding.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "src/data/token_file.h"

namespace pg {

// Visits the ids of one document at a time, BOS first.
void visit_documents(const TokenStream& stream,
                     const std::function<void(std::span<const int32_t>)>& visit);

// Of all ids and their number.
uint64_t hash_document(std::span<const int32_t> ids);

// Appends a hash of every run of `length` ids behind the first.
void append_runs(std::span<const int32_t> ids, int64_t length, std::vector<uint64_t>& runs);

}  // namespace pg
