// How `tokenize` and `corpus info` show what they read.
#pragma once
#include "harness/record/progress_line.h"
#include "src/data/corpus/corpus.h"

namespace pg {

// "1,234 documents  7.4 MB  2.9 MB/s  34%  5 s left"
CorpusProgressFn show_corpus_progress(ProgressLine& progress);

// "train  1,234 documents  5,678 bytes ..." on stdout; nothing for a split without documents.
void print_split(const SplitSummary& split);

// Of documents whose tokens are charged with other bytes than they have.
void warn_of_mismatch(const SplitSummary& split, ProgressLine& progress);

}  // namespace pg
