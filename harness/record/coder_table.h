// What each coder makes of an artifact, in words and for programs.
#pragma once
#include <string>
#include <vector>

#include "quant/method/seal.h"
#include "src/text/json_object.h"

namespace pg {

// "coded by zstd: model 953,773 + code 60,512 = 1,014,285 bytes" for each, and which is the smallest.
std::vector<std::string> describe_coders(const std::vector<CoderBytes>& coders);
// {"own": 990123, ...}: model and code.
JsonObject list_coders(const std::vector<CoderBytes>& coders);

}  // namespace pg
