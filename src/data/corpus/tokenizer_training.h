// Training a tokenizer with the challenge's options.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "src/base/hash.h"

namespace pg {

struct TrainedTokenizer {
  int64_t pieces = 0;
  Sha256 sha256 = {};              // of the model file
  std::vector<std::string> notes;  // files left out, fewer pieces than asked for
};

struct TokenizerForm {
  // With the four operators of the case transform as pieces (ids 4 to 7), trained on text that went
  // through it.
  bool has_case_ops = false;
  // Text is not normalised and keeps its spaces, so that its ids give every byte of it back.
  bool is_lossless = false;
};

// Trains a BPE model with the challenge's options: character coverage 0.999, byte fallback, split
// digits, nmt_nfkc, no dummy prefix, soft vocabulary limit; ids 0 pad, 1 bos, 2 eos, 3 unk; but for
// what `form` says. Writes model_file whole or not at all; the same corpus gives the same bytes. `corpus` is what
// DocumentReader reads; of a big one every k-th document is used.
TrainedTokenizer train_tokenizer(const std::filesystem::path& corpus, int64_t vocab_size,
                                 const std::filesystem::path& model_file,
                                 const TokenizerForm& form = {});

}  // namespace pg
