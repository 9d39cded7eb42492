#include "harness/record/replay_report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "src/base/check.h"

namespace pg {
namespace {

// Any of these may change a rounding somewhere.
constexpr auto kDeciding =
    std::to_array<std::string_view>({"processor", "instructions", "device", "device_libraries",
                                     "compiler", "build", "revision", "dirty", "arithmetic"});
// What is left of them where sums and functions have one value.
constexpr auto kDecidingExactly =
    std::to_array<std::string_view>({"device", "revision", "dirty", "arithmetic"});
// Not of what computed.
constexpr auto kOther =
    std::to_array<std::string_view>({"event", "tape_format", "resumed", "resumed_steps", "chain",
                                     "train_shards_sha256", "val_shards_sha256"});

bool holds(std::span<const std::string_view> keys, std::string_view key) {
  return std::ranges::find(keys, key) != keys.end();
}

}  // namespace

std::vector<IdentityChange> list_identity_changes(const TapePart& then, const TapePart& now,
                                                  bool exact) {
  const std::span<const std::string_view> deciding =
      exact ? std::span<const std::string_view>(kDecidingExactly) : kDeciding;
  std::vector<IdentityChange> changes;
  for (const auto& [key, value] : then.identity) {
    const auto found = now.identity.find(key);
    if (holds(kOther, key) || (found != now.identity.end() && found->second == value)) continue;
    changes.push_back(
        {key, value, found == now.identity.end() ? "" : found->second, holds(deciding, key)});
  }
  return changes;
}

std::optional<TensorChange> find_tensor_change(std::span<const HostTensor> then,
                                               std::span<const HostTensor> now) {
  PG_CHECK(then.size() == now.size(), "tensors of one model");
  std::optional<TensorChange> change;
  for (size_t i = 0; i < then.size(); ++i) {
    const std::vector<float>&a = then[i].values, &b = now[i].values;
    PG_CHECK(a.size() == b.size(), "tensors of one shape");
    TensorChange own = {.name = then[i].spec.name, .values = std::ssize(a)};
    for (size_t k = 0; k < a.size(); ++k) {
      if (a[k] == b[k]) continue;
      ++own.changed;
      own.largest =
          std::max(own.largest, std::abs(static_cast<double>(a[k]) - static_cast<double>(b[k])));
    }
    if (own.changed == 0) continue;
    if (change) {
      change->largest = std::max(change->largest, own.largest);
    } else {
      change = own;
    }
  }
  return change;
}

void StepCheck::add(int64_t step, double loss_nats) {
  if (step < 1 || step > std::ssize(tape_->steps)) return;
  const std::optional<double>& then = tape_->steps[static_cast<size_t>(step - 1)].loss_nats;
  if (!then) return;
  ++compared_;
  if (!change_ && *then != loss_nats) change_ = {step, *then, loss_nats};
}

}  // namespace pg
