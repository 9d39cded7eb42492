// What a replay found: whether a record's run gives its artifact and its score again, and if not, where it
// first differs and whether it had to.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "harness/record/tape.h"
#include "src/plan/weights.h"

namespace pg {

// A member of the tape's start line that the two runs do not share.
struct IdentityChange {
  std::string key, then, now;
  bool decides = false;  // numbers may follow from it: processor, instructions, libraries, revision
};
// Of what computed. `exact`: the device's arithmetic has one value everywhere, so that only its version decides.
std::vector<IdentityChange> list_identity_changes(const TapePart& then, const TapePart& now,
                                                  bool exact);

// The first tensor of which a value differs, and by how much at most; empty where none does. The two have the
// same tensors in the same order.
struct TensorChange {
  std::string name;
  int64_t values = 0, changed = 0;
  double largest = 0;  // difference of two values of any tensor
};
std::optional<TensorChange> find_tensor_change(std::span<const HostTensor> then,
                                               std::span<const HostTensor> now);

// The first step of which the loss is another; empty where none is, or the tape says no losses.
class StepCheck {
 public:
  explicit StepCheck(const Tape& tape) : tape_(&tape) {}
  void add(int64_t step, double loss_nats);
  struct Change {
    int64_t step = 0;
    double then = 0, now = 0;
  };
  const std::optional<Change>& first_change() const { return change_; }
  int64_t compared() const { return compared_; }

 private:
  const Tape* tape_;
  std::optional<Change> change_;
  int64_t compared_ = 0;
};

}  // namespace pg
