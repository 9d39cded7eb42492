// Scoring on all ranks: every process calls the same, in the same order, and rank 0's gets the
// numbers, which do not depend on how many ranks there are.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "eval/score.h"
#include "src/base/clock.h"
#include "src/data/token_file.h"
#include "src/data/tokenizer.h"
#include "src/device/comm/join_devices.h"
#include "src/device/comm/local_ranks.h"
#include "src/device/device.h"
#include "src/model/model_config.h"

namespace pg {

class RankScoring {
 public:
  // What rank 0 scores with; null elsewhere.
  struct First {
    Device* device = nullptr;
    const ByteTable* bytes = nullptr;
    Clock* clock = nullptr;
  };
  // The other ranks make a device of this name each. `val` is the same text on all; ranks and val
  // must outlive this.
  RankScoring(LocalRanks& ranks, std::string device_name, const TokenStream& val,
              const First& first, ExchangeBy exchange = ExchangeBy::kAny);

  // Each is a phase of the ranks: evaluate() and diagnose_loss(), nothing in a process without rank
  // 0. Model and tensors are the same on all; progress and observer are for rank 0.
  std::optional<Score> evaluate(const UnpackedModel& model, const ScoringConfig& config,
                                const EvalProgressFn& progress,
                                const LedgerHooks& observer = {}) const;
  std::optional<DiagnosticLoss> diagnose(const ModelConfig& model,
                                         const std::vector<HostTensor>& tensors,
                                         const EvalConfig& config,
                                         const EvalProgressFn& progress) const;
  // The same as a part of another phase, on each of its ranks: zeros but on rank 0.
  DiagnosticLoss diagnose_on(Comm& comm, Device& device, const ModelConfig& model,
                             const std::vector<HostTensor>& tensors, const EvalConfig& config,
                             const EvalProgressFn& progress) const;

 private:
  // A phase: body(comm, device) on each rank of this process.
  void run(const std::function<void(Comm&, Device&)>& body) const;

  LocalRanks& ranks_;
  std::string device_name_;
  const TokenStream& val_;
  First first_;
  ExchangeBy exchange_;
};

}  // namespace pg
