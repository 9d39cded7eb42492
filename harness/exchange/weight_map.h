// Which tensor of another trainer's file each of a model's parameters is: rules by name, read from TOML.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pg {

// harness/exchange/public_weights.toml, which says how a map is written.
extern const char* const kPublicWeights;

struct WeightMap {
  struct Rule {
    std::string ours;                 // "blocks.{n}.attn.q"
    std::vector<std::string> theirs;  // one of these: "qo_bank[{n}]"
  };
  std::vector<Rule> rules;          // the first that fits a name is its
  std::vector<std::string> unused;  // patterns of tensors that are left out
  std::string model;                // "[model]\nlayers = 9\n...": what the weights are a model of
};

// Names of the models that kPublicWeights knows.
std::vector<std::string> list_weight_maps();

// One of those, or a file: [model], [tensors] and `unused` of its own, before the public rules. Throws Error that says
// what is wrong with the file, or which name is near.
WeightMap find_weight_map(const std::string& name_or_file);

// The number that stands for {n} where `name` has the form of `pattern`; -1 where it has not, 0 where both have none.
int64_t match_pattern(std::string_view pattern, std::string_view name);

}  // namespace pg
