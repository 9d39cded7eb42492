#include "harness/command/rank_scoring.h"

#include <memory>
#include <utility>

#include "harness/command/rank_share.h"
#include "harness/command/rank_steps.h"
#include "src/base/bytes.h"
#include "src/device/comm/run_ranks.h"
#include "src/device/registry/make_device.h"

namespace pg {

namespace {

// What a learner weighs targets by, from rank 0 to all: the others have no tokenizer.
ByteTable share_byte_table(LocalRanks& ranks, const ByteTable* own) {
  ByteWriter writer;
  if (own != nullptr) {
    writer.u32(static_cast<uint32_t>(own->bytes.size()));
    writer.u32(static_cast<uint32_t>(own->trailing_space.size()));
    writer.u32(static_cast<uint32_t>(own->operators.size()));
    for (const int32_t id : own->operators) writer.u32(static_cast<uint32_t>(id));
    for (const uint16_t bytes : own->bytes) writer.u16(bytes);
    for (const auto* column : {&own->leading_space, &own->boundary, &own->trailing_space}) {
      writer.bytes(*column);
    }
  }
  const Bytes shared = share_bytes(ranks, writer.take());
  ByteReader reader(shared);
  const size_t vocab = reader.u32(), trailing = reader.u32();
  const size_t operators = reader.u32();
  ByteTable table;
  for (size_t i = 0; i < operators; ++i) {
    table.operators.push_back(static_cast<int32_t>(reader.u32()));
  }
  for (size_t id = 0; id < vocab; ++id) table.bytes.push_back(reader.u16());
  const auto read_column = [&](size_t size) {
    const auto bytes = reader.bytes(size);
    return std::vector<uint8_t>(bytes.begin(), bytes.end());
  };
  table.leading_space = read_column(vocab);
  table.boundary = read_column(vocab);
  table.trailing_space = read_column(trailing);
  return table;
}

}  // namespace

RankScoring::RankScoring(LocalRanks& ranks, std::string device_name, const TokenStream& val,
                         const First& first, ExchangeBy exchange)
    : ranks_(ranks),
      device_name_(std::move(device_name)),
      val_(val),
      first_(first),
      exchange_(exchange) {}

std::optional<Score> RankScoring::evaluate(const UnpackedModel& model, const ScoringConfig& config,
                                           const EvalProgressFn& progress,
                                           const LedgerHooks& observer) const {
  std::optional<Score> score;
  ScoringConfig of_all = config;
  ByteTable bytes;
  if (config.ttt.byte_weighted) {
    bytes = share_byte_table(ranks_, first_.bytes);
    of_all.ttt.bytes = &bytes;
  }
  run([&](Comm& comm, Device& device) {
    // Over the devices only where they train together.
    const DeviceLink link =
        config.ttt.gradient_leaves > 1 ? join_devices(comm, device, exchange_) : DeviceLink{};
    RankShare share(comm.host(), link.comm != nullptr ? *link.comm : comm);
    fail_on_throw(comm, [&] {
      if (comm.rank() != 0) return follow_evaluation(model, val_, of_all, device, share);
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
  RankShare share(comm.host(), comm);
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
    const std::unique_ptr<Device> own = make_device(device_name_, comm.rank());
    body(comm, *own);
  });
}

}  // namespace pg
