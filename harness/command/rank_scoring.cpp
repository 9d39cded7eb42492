#include "harness/command/rank_scoring.h"

#include <memory>
#include <utility>

#include "harness/command/rank_share.h"
#include "src/device/comm/run_ranks.h"
#include "src/device/registry/make_device.h"

namespace pg {

RankScoring::RankScoring(LocalRanks& ranks, std::string device_name, const TokenStream& val,
                         const First& first)
    : ranks_(ranks), device_name_(std::move(device_name)), val_(val), first_(first) {}

std::optional<Score> RankScoring::evaluate(const UnpackedModel& model, const ScoringConfig& config,
                                           const EvalProgressFn& progress,
                                           const LedgerHooks& observer) const {
  std::optional<Score> score;
  run([&](Comm& comm, Device& device) {
    RankShare share(comm);
    fail_on_throw(comm, [&] {
      if (comm.rank() != 0) return follow_evaluation(model, val_, config, device, share);
      score = pg::evaluate(model, *first_.bytes, val_, config, device, *first_.clock, progress,
                           &share, observer);
    });
  });
  return score;
}

std::optional<DiagnosticLoss> RankScoring::diagnose(const ModelConfig& model,
                                                    const std::vector<HostTensor>& tensors,
                                                    const EvalConfig& config,
                                                    const EvalProgressFn& progress) const {
  std::optional<DiagnosticLoss> loss;
  run([&](Comm& comm, Device& device) {
    const DiagnosticLoss own = diagnose_on(comm, device, model, tensors, config, progress);
    if (comm.rank() == 0) loss = own;
  });
  return loss;
}

DiagnosticLoss RankScoring::diagnose_on(Comm& comm, Device& device, const ModelConfig& model,
                                        const std::vector<HostTensor>& tensors,
                                        const EvalConfig& config,
                                        const EvalProgressFn& progress) const {
  DiagnosticLoss loss;
  RankShare share(comm);
  fail_on_throw(comm, [&] {
    if (comm.rank() != 0) return follow_diagnosis(model, tensors, val_, config, device, share);
    loss = diagnose_loss(model, tensors, *first_.bytes, val_, config, device, *first_.clock,
                         progress, &share);
  });
  return loss;
}

void RankScoring::run(const std::function<void(Comm&, Device&)>& body) const {
  ranks_.run([&](Comm& comm) {
    if (comm.rank() == 0) return body(comm, *first_.device);
    const std::unique_ptr<Device> own = make_device(device_name_);
    body(comm, *own);
  });
}

}  // namespace pg
