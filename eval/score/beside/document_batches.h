// Which documents of a text are scored side by side, and in which rows: those of a batch end at about the
// same time, since a row whose document has ended runs on for nothing. The order changes no score.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "eval/score/scorer.h"

namespace pg {

struct DocumentBatch {
  std::vector<int64_t> numbers;  // [rows] in the text; -1: none. Of a rank the longest first
  int64_t most_chunks = 0;       // of a document
};

// Of documents first, first + 1, ... of the text, of so many chunks each, at least one. Without queues
// the longest go first. With queues documents of a queue keep their order, each on its rank: of the
// batches that the next of all queues allow, that which fills its rows best goes first.
std::vector<DocumentBatch> batch_documents(std::span<const int64_t> chunks, int64_t first,
                                           const DocumentRows& rows);

}  // namespace pg
