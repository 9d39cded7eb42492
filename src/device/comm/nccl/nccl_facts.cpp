#include "src/device/comm/nccl/nccl_facts.h"

#include "src/base/error.h"
#include "src/device/comm/comm_lists.h"

namespace pg {

std::vector<NcclFacts> gather_nccl_facts(Comm& host, const NcclFacts& own) {
  std::vector<NcclFacts> facts(static_cast<size_t>(host.ranks()));
  facts[static_cast<size_t>(host.rank())] = own;
  std::vector<CommPiece> pieces;
  for (NcclFacts& of_rank : facts) {
    pieces.push_back({static_cast<int>(pieces.size()), &of_rank, sizeof of_rank});
  }
  host.wait(host.all_gather(pieces));
  return facts;
}

std::string find_nccl_obstacle(std::span<const NcclFacts> facts) {
  const std::string first_gpu = facts[0].gpu.data(), first_version = facts[0].version.data();
  const auto rank_of = [&](const NcclFacts& of) {
    return describe_rank(static_cast<int>(&of - facts.data()));
  };
  for (const NcclFacts& of : facts) {
    if (first_gpu == of.gpu.data()) continue;
    throw Error("ranks on GPUs of different kinds, \"" + first_gpu + "\" on rank 0 and \"" +
                of.gpu.data() + "\" on " + rank_of(of) +
                ", would not agree; choose machines with GPUs of one kind");
  }
  for (const NcclFacts& of : facts) {
    if (of.refusal[0] == '\0') continue;
    return rank_of(of) + " on \"" + of.machine.data() + "\" has " + of.refusal.data();
  }
  for (const NcclFacts& of : facts) {
    if (first_version == of.version.data()) continue;
    return "NCCL " + first_version + " on rank 0 and " + of.version.data() + " on " + rank_of(of);
  }
  for (size_t i = 0; i < facts.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (facts[i].gpu_id != facts[j].gpu_id || facts[i].machine != facts[j].machine) continue;
      return rank_of(facts[j]) + " and " + rank_of(facts[i]) + " on \"" + facts[i].machine.data() +
             "\" share a GPU, which NCCL does not do";
    }
  }
  return "";
}

}  // namespace pg
