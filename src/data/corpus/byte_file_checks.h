// The byte side files of shards whose text went through the case transform: beside
// "<name>_val_000000.bin" stands "<name>_val_bytes_000000.bin", a shard too, which has in the place of
// each id how many bytes of the original text it stands for. They are the denominator of bits per
// byte, so a score rests on them only where they are what the tokens give back.
#pragma once
#include <string>
#include <vector>

#include "src/data/corpus/shard_checks.h"
#include "src/data/token_file.h"
#include "src/data/tokenizer.h"

namespace pg {

struct ByteFileFindings {
  DataFaults faults;
  std::string note;  // what published files count in another way; empty: nothing
};

// Of a text that is scored: side files that are gone, of another length or text, or not the
// manifest's; entries that are not the bytes of their tokens; tokens whose bytes are not those of the
// text that they decode to. Nothing for a tokenizer without case operators.
//
// Published files, which have no manifest, count the text before the tokenizer's normalisation, which
// no token gives back. They pass, with a note, while their sum differs by less than one part in ten
// thousand; the score is by the bytes that the tokens give back.
ByteFileFindings check_byte_files(const TokenStream& val, const Tokenizer& tokenizer);

}  // namespace pg
