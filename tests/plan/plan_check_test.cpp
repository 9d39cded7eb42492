// What recording refuses: rules that would compute with a buffer that another step has spoiled.
// Each test writes such a rule beside Plan's own.
#include <gtest/gtest.h>

#include "src/device/registry/make_device.h"
#include "src/plan/plan.h"

namespace pg {
namespace {

constexpr int64_t kRows = 4, kDim = 8;

// Rules of y = x + b z, as Plan::mix has it, each with one fault.
enum class Fault : uint8_t {
  kNone,
  kAddsWhileReading,  // dz into the buffer that was handed from y to x = z, in the step that reads dy
  kReadsAfterAdding,  // into it from elsewhere, and then db from what is no longer dy
  kWritesTwice,       // dx and dz are one buffer, in one step
};

class FaultyPlan : public Plan {
 public:
  using Plan::Plan;

  Tensor mix(Tensor x, Tensor z, Tensor b, Fault fault) {
    const Tensor y = make_activation("mix", kRows, kDim);
    const auto forward = [=, this](Ops& ops, const RunArgs& args) {
      ops.mix(out(write_to(y), args), in(x), {}, in(z), in(b), kRows, kDim);
    };
    record(OpId::kMix, 0, {x, z, b}, {write_to(y)}, forward);
    add_rule(y, [=, this] {
      const bool passes = fault == Fault::kAddsWhileReading || fault == Fault::kReadsAfterAdding;
      const OutRef dx = passes && pass_gradient(y, x) ? OutRef{} : contribute(x);
      const OutRef dz = contribute(z), db = contribute(b);
      const bool splits = fault == Fault::kReadsAfterAdding || fault == Fault::kNone;
      if (!splits) record_part(gradient(y), dx, dz, db);
      if (splits) record_part(gradient(y), dx, {}, {});
      if (splits) record_part(passes ? x : gradient(y), {}, dz, {});
      if (splits) record_part(gradient(y), {}, {}, db);
    });
    return y;
  }
  // Gives x a gradient when y's gradient, which waits for x's, has been used already.
  Tensor add_late(Tensor x) {
    const Tensor y = make_activation("late", kRows, kDim);
    record(OpId::kMix, 0, {x}, {write_to(y)}, [](Ops&, const RunArgs&) {});
    add_rule(y, [=, this] { contribute(y); });
    return y;
  }
  // A forward step of an op that says it needs no gradient.
  Tensor cast(Tensor x) {
    const Tensor y = make_activation("cast", kRows, kDim);
    record(OpId::kCast, 0, {x}, {write_to(y)}, [](Ops&, const RunArgs&) {});
    return y;
  }

 private:
  // Only recorded, never run: the ops see no tensors.
  void record_part(Tensor read, OutRef dx, OutRef dz, OutRef db) {
    record(OpId::kMixBackward, 0, {read}, {dx, dz, db}, [](Ops&, const RunArgs&) {});
  }
};

// Any three places: a plan finds a weight by where it stands.
constexpr ParamPlace kW{ParamRole::kTokenEmbedding}, kB{ParamRole::kSkip, 0},
    kS{ParamRole::kSmearGate}, kHalf{ParamRole::kValueProjection};

class PlanCheck : public testing::Test {
 protected:
  PlanCheck()
      : weights_(*device_,
                 {{"w", 8, kDim, ParamGroup::kMatrix, ParamInit::kNormal, 1.0f, true, true, kW},
                  {"b", 1, kDim, ParamGroup::kScalar, ParamInit::kConstant, 1.0f, false, true, kB},
                  {"s", 1, 1, ParamGroup::kScalar, ParamInit::kConstant, 1.0f, false, true, kS},
                  {"half", kDim, kDim / 2, ParamGroup::kMatrix, ParamInit::kNormal, 1.0f, true,
                   true, kHalf}},
                 true) {
    testing::GTEST_FLAG(death_test_style) = "threadsafe";
  }
  // Records a loss behind body(plan, x).
  template <class Body>
  void record(const Body& body) {
    FaultyPlan plan(weights_);
    const float one = 1.0f;
    const Tensor ids = plan.input_ids("ids", kRows, 1);
    const Tensor x = plan.rmsnorm(plan.embed(ids, plan.weight(kW)), 1.0f);
    const Tensor y = body(plan, x);
    const Tensor logits = plan.linear(y, plan.weight(kW), /*f32_output=*/true);
    const Tensor targets = plan.input_ids("targets", kRows, 1);
    plan.finish(
        plan.softcap_xent(logits, targets, plan.constant("one", 1, 1, {&one, 1}), 30.0f).loss);
  }
  void record_mix(Fault fault) {
    record([&](FaultyPlan& plan, Tensor x) { return plan.mix(x, x, plan.weight(kB), fault); });
  }
  const std::unique_ptr<Device> device_ = make_device("reference");
  Weights weights_;
};

TEST_F(PlanCheck, ARuleThatReadsBeforeAnythingIsAddedIsRecorded) { record_mix(Fault::kNone); }

// The former rule of mix: with x and z one tensor, skips.0 got (1 + b) times its gradient on cpu.
TEST_F(PlanCheck, AStepThatAddsIntoWhatItReadsIsRefused) {
  EXPECT_DEATH(record_mix(Fault::kAddsWhileReading),
               "mix_backward of \"(.*)\" writes \"(.*)\", which it reads");
}

TEST_F(PlanCheck, AStepThatReadsWhatAnotherHasAddedToIsRefusedAndBothAreNamed) {
  EXPECT_DEATH(record_mix(Fault::kReadsAfterAdding),
               "mix_backward of \"b.grad\" reads the gradient of \"mix#2\" after mix_backward of "
               "\"mix#2.grad\" wrote into its buffer");
}

TEST_F(PlanCheck, AStepThatWritesOneBufferTwiceIsRefused) {
  EXPECT_DEATH(record_mix(Fault::kWritesTwice), "mix_backward of \"(.*)\" writes \"(.*)\" twice");
}

TEST_F(PlanCheck, AContributionThatComesTooLateIsRefused) {
  EXPECT_DEATH(record([](FaultyPlan& plan, Tensor x) { return plan.add_late(x); }),
               "the gradient of \"late#2\" has been used already");
}

TEST_F(PlanCheck, AnOpThatNeedsNoGradientIsRefusedWhereOneIsNeeded) {
  EXPECT_DEATH(record([](FaultyPlan& plan, Tensor x) { return plan.cast(x); }),
               "cast of \"cast#2\" needs a gradient, for which there is no rule");
}

TEST_F(PlanCheck, ViewsThatLeaveAHoleInAGradientAreRefused) {
  EXPECT_DEATH(record([](FaultyPlan& plan, Tensor x) {
                 const Tensor y = plan.linear(x, plan.weight(kW));
                 return plan.linear(plan.columns(y, 0, kDim / 2), plan.weight(kHalf));
               }),
               "the gradient of \"linear#2\" has holes: its views do not give all of it");
}

TEST_F(PlanCheck, ATensorWithViewsHasNoGradientOfItsOwn) {
  EXPECT_DEATH(record([](FaultyPlan& plan, Tensor x) {
                 const Tensor y = plan.linear(x, plan.weight(kW));
                 plan.columns(y, 0, kDim);
                 return plan.Plan::mix(y, {}, y, plan.weight(kB));
               }),
               "the gradient of \"linear#2\" comes through its views");
}

TEST_F(PlanCheck, AStepThatWritesAViewOfWhatItReadsIsRefused) {
  EXPECT_DEATH(record([](FaultyPlan& plan, Tensor x) {
                 const Tensor y = plan.linear(x, plan.weight(kW));
                 return plan.add_linear(plan.columns(y, 0, kDim), y, plan.weight(kW));
               }),
               "writes \"linear#2.columns\", which it reads");
}

// y = (a + b) x: both contributions go to one tensor.
TEST_F(PlanCheck, EveryOpOnATensorAndItselfIsRecorded) {
  record([](FaultyPlan& plan, Tensor x) {
    const Tensor b = plan.weight(kB), s = plan.weight(kS);
    x = plan.Plan::mix(x, {}, x, b);
    x = plan.Plan::mix(x, b, x, {});
    x = plan.Plan::mix(x, {}, x, {});
    return plan.add_scaled(x, x, s);
  });
}

}  // namespace
}  // namespace pg
