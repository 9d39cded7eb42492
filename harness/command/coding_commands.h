// `train_gpt encode` and `train_gpt decode`: a text as a file of the score's length, and back.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "src/base/clock.h"

namespace pg {

struct EncodeCommand {
  std::filesystem::path artifact;
  std::filesystem::path recipe;   // may be empty
  std::vector<std::string> sets;  // --set, --data, --tokenizer and --device as section.key=value
  std::string shards, tokenizer;
  std::filesystem::path text;  // one document; empty: the shards
  std::filesystem::path out;
};

struct DecodeCommand {
  std::filesystem::path artifact, file, tokenizer;
  std::filesystem::path out;  // empty: stdout
  std::string device = "cpu";
};

// Each gives the exit code and throws Error.
int encode_file(const EncodeCommand& command, Clock& clock);
int decode_file(const DecodeCommand& command, Clock& clock);

}  // namespace pg
