// What each rank says of itself before NCCL is used: all of them must come to one answer.
#pragma once
#include <array>
#include <span>
#include <string>
#include <vector>

#include "src/device/comm/comm.h"

namespace pg {

// Bytes alone, as they travel between hosts.
struct NcclFacts {
  std::array<char, 256> refusal = {};  // why this rank has none; empty: it has
  std::array<char, 64> version = {};
  std::array<char, 128> gpu = {};      // its kind
  std::array<char, 256> machine = {};  // the host's name
  std::array<char, 16> gpu_id = {};    // of the GPU alone
};

// The facts of all ranks, by rank.
std::vector<NcclFacts> gather_nccl_facts(Comm& host, const NcclFacts& own);

// Why these ranks cannot use NCCL, or empty. Throws Error where they cannot train together at all.
std::string find_nccl_obstacle(std::span<const NcclFacts> facts);

}  // namespace pg
