// Gradients of a plan: rules are remembered while the forward pass is recorded, and run backwards
// when it is finished.
#include <algorithm>

#include "src/base/check.h"
#include "src/plan/plan.h"

namespace pg {

void Plan::record_gradients(Tensor loss) {
  // The rule of softcap_xent needs no incoming gradient: d(mean)/d(row) is one constant.
  const auto begin_at = [this](Tensor of) {
    info(of).gradient = of.id;
    info(of).gradient_written = true;
  };
  begin_at(loss);
  // <train_gpt>
  for (const Tensor more : more_losses_) {
    PG_CHECK(info(more).rows == info(loss).rows, "all losses are of the same rows");
    begin_at(more);
  }
  // </train_gpt>
  loss_rows_ = info(loss).rows;
  // <train_gpt>
  loss_rows_ /= loss_parts_;
  // </train_gpt>
  loss_gradient_ = make_scalar("loss_gradient");
  upload_loss_gradient();
  for (size_t i = rules_.size(); i-- > 0;) rules_[i]();
}

void Plan::add_rule(Tensor output, std::function<void()> rule) {
  rules_.push_back([this, output, in_block = in_block_, rule = std::move(rule)] {
    in_block_ = in_block;
    // An output nothing depends on has no gradient to pass back.
    if (info(output).gradient < 0 || !info(output).gradient_written) return;
    begin_rule(output);
    rule();
    rule_output_ = {};
  });
}

// All that depends on `output` has given its contribution: the first of its rules finds the gradient
// complete, and so must the others.
void Plan::begin_rule(Tensor output) {
  TensorInfo& y = info(output);
  bool is_covered = y.view_columns == 0 || y.view_columns == y.cols;
  for (const TensorInfo& t : tensors_) {
    is_covered &= t.base != output.id || t.gradient_written;
  }
  PG_CHECK(
      is_covered,
      ("the gradient of \"" + y.name + "\" has holes: its views do not give all of it").c_str());
  if (!y.rule_has_begun) y.gradient_call = tensors_[static_cast<size_t>(y.gradient)].last_write;
  y.rule_has_begun = true;
  rule_output_ = output;
}

Plan::OutRef Plan::contribute(Tensor t) {
  if (!t || !info(t).needs_gradient) return {};
  PG_CHECK(!info(t).rule_has_begun,
           ("the gradient of \"" + info(t).name + "\" has been used already").c_str());
  PG_CHECK(info(t).view_columns == 0,
           ("the gradient of \"" + info(t).name + "\" comes through its views").c_str());
  if (info(t).gradient < 0) info(t).gradient = add_gradient_of(t).id;
  const OutRef ref{info(t).gradient, info(t).gradient_written, info(t).place == Place::kWeight};
  info(t).gradient_written = true;
  return ref;
}

Tensor Plan::add_gradient_of(Tensor t) {
  TensorInfo gradient;
  gradient.name = info(t).name + ".grad";
  gradient.rows = info(t).rows;
  gradient.cols = info(t).cols;
  gradient.dtype = activation();
  if (is_view(t)) {
    const Tensor base{info(t).base};
    if (info(base).gradient < 0) {
      const Tensor whole = add_gradient_of(base);
      info(base).gradient = whole.id;
      info(base).gradient_written = true;  // by its views, all of them: see begin_rule
    }
    gradient.base = info(base).gradient;
    gradient.first_column = info(t).first_column;
  }
  return add_tensor(std::move(gradient));
}

bool Plan::pass_gradient(Tensor y, Tensor x) {
  if (gradients_ == Gradients::kCopied) return false;
  if (!info(x).needs_gradient || info(x).gradient >= 0 || info(x).place != Place::kArena)
    return false;
  if (is_view(x) || is_view(y) || info(x).view_columns > 0) return false;
  info(x).gradient = info(y).gradient;
  info(x).gradient_written = true;
  return true;
}

Tensor Plan::make_scalar(std::string name) {
  const float zero = 0.0f;
  return constant(std::move(name), 1, 1, {&zero, 1});
}

void Plan::write_constant(Tensor t, std::span<const float> values) {
  PG_CHECK(static_cast<int64_t>(values.size()) == info(t).elements(), "a constant of another size");
  weights_->device().upload(info(t).data, values.data(), values.size_bytes());
}

void Plan::set_loss_scale(float scale) {
  if (scale == loss_scale_) return;
  loss_scale_ = scale;
  upload_loss_gradient();
}

void Plan::upload_loss_gradient() {
  if (!loss_gradient_) return;
  const float value = loss_scale_ / static_cast<float>(loss_rows_);
  weights_->device().upload(info(loss_gradient_).data, &value, sizeof value);
}

}  // namespace pg
