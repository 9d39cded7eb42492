// Recipe keys of the data: which shards, which tokenizer, in which order.
#pragma once
#include <cstdint>
#include <string>

#include "src/base/field.h"

namespace pg {

enum class Loader : uint8_t {
  kSequential,  // windows in stream order, wrapping around; independent of the seed
  kCoprime,     // per epoch a random phase, start and stride coprime with the number of windows
  kShuffled,    // per epoch a random phase and a random permutation
  kPacked,      // spans of whole micro-batches in stream order, their documents apart; what reads
                // windows beside training has them shuffled
};
template <>
inline constexpr auto kChoiceNames<Loader> = name_choices("sequential", "coprime", "shuffled",
                                                          "packed");

struct DataConfig {
  std::string train_shards;  // glob, e.g. "data/fineweb_train_*.bin"
  std::string val_shards;
  std::string tokenizer;
  Loader loader = Loader::kSequential;
  bool force = false;
};

}  // namespace pg
