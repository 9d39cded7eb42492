// What recording checks of every call: that no gradient is computed from a spoiled buffer.
#include <algorithm>

#include "src/base/check.h"
#include "src/device/op_table/op_list.h"
#include "src/plan/plan.h"

namespace pg {

std::string Plan::describe_call(const OpCall& call) {
  return std::string(op_info(call.op).name) + " of \"" + call.label + "\"";
}

void Plan::check_call(const OpCall& call) const {
  const auto name = [&](int id) { return "\"" + tensors_[static_cast<size_t>(id)].name + "\""; };
  const auto overlap = [&](int id, int other) {
    const int base = tensors_[static_cast<size_t>(id)].base;
    const int other_base = tensors_[static_cast<size_t>(other)].base;
    return id == other || base == other || other_base == id;  // views of one tensor never overlap
  };
  for (size_t i = 0; i < call.writes.size(); ++i) {
    const int id = call.writes[i];
    const auto is_same = [&](int other) { return overlap(id, other); };
    PG_CHECK(std::none_of(call.reads.begin(), call.reads.end(), is_same),
             (describe_call(call) + " writes " + name(id) + ", which it reads").c_str());
    PG_CHECK(
        std::none_of(call.writes.begin(), call.writes.begin() + static_cast<int64_t>(i), is_same),
        (describe_call(call) + " writes " + name(id) + " twice").c_str());
    PG_CHECK(
        !tensors_[static_cast<size_t>(id)].needs_gradient || op_info(call.op).gradient.exists(),
        (describe_call(call) + " needs a gradient, for which there is no rule").c_str());
  }
  if (!rule_output_) return;
  const TensorInfo& y = info(rule_output_);
  for (const int id : call.reads) {
    if (id != y.gradient) continue;
    const int writer = tensors_[static_cast<size_t>(id)].last_write;
    PG_CHECK(writer == y.gradient_call,
             (describe_call(call) + " reads the gradient of \"" + y.name + "\" after " +
              describe_call(calls_[static_cast<size_t>(writer)]) + " wrote into its buffer")
                 .c_str());
  }
}

}  // namespace pg
