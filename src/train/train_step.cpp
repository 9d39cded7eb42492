#include "src/train/train_step.h"

#include <cmath>
#include <utility>

#include "src/base/check.h"
#include "src/model/forward.h"
#include "src/train/training_params.h"

namespace pg {

TrainStep::TrainStep(const TrainSetup& setup, Comm& comm)
    : comm_(comm),
      device_(*setup.device),
      batches_(*setup.batches),
      is_packed_(batches_.loader() == Loader::kPacked),
      rows_(setup.train.micro_batch_tokens / setup.train.seq_len),
      micro_batches_(setup.train.batch_tokens / setup.train.micro_batch_tokens),
      leaves_(setup.train.gradient_leaves),
      weights_(device_, list_training_params(setup.model, setup.train), /*with_gradients=*/true),
      loss_targets_(setup.train, setup.prefix_of),
      phases_(setup.model, setup.train),
      optimizer_(weights_, setup.optimizer, comm.rank(), comm.ranks()),
      leaf_losses_(device_, static_cast<size_t>(leaves_) * sizeof(double)),
      loss_(device_, sizeof(double)),
      own_leaves_(weights_, leaves_ / comm.ranks()),
      exchange_(comm, weights_, optimizer_, leaf_losses_.as<double>(), leaves_, setup.train.sums),
      // The average begins with the weights.
      averager_((weights_.initialise(static_cast<uint64_t>(setup.train.seed)), weights_),
                setup.train),
      ema_nesterov_(weights_, setup.optimizer),
      late_qat_(weights_, setup.train.late_qat_lr, setup.round_weights),
      state_sizes_(checkpoint_sizes(weights_.specs(), setup.train, setup.optimizer)) {
  PG_CHECK(setup.prefix_of.empty() || std::ssize(setup.prefix_of) == setup.model.vocab_size,
           "a prefix, or none, of each token");
  next_weights_.resize(static_cast<size_t>(loss_targets_.count()));
  build_plans(setup);
  if (setup.train.complement_alpha > 0) {
    complement_.emplace(*phase_batches_, setup.model.vocab_size, setup.train.complement_alpha,
                        micro_batches_ * (is_packed_ ? 1 : rows_));
  }
}

// Of packed rows: a micro-batch each.
Batches TrainStep::order_windows(const Phase& phase) const {
  if (is_packed_) return batches_.with_spans(rows_ * batches_.seq_len(), micro_batches_);
  const int64_t bag = phases_.bag(phase);
  return batches_.with_windows(bag * phases_.seq_len(phase), bag);
}

// The last phase's first: the others' tensors fit into its arena, or have one of their own.
void TrainStep::build_plans(const TrainSetup& setup) {
  for (const Phase& phase : phases_.list()) {
    const int64_t bag = phases_.bag(phase), seq_len = phases_.seq_len(phase);
    const int64_t rows = is_packed_ ? 1 : phases_.rows(phase, rows_);
    const ForwardOptions options = {
        .targets = loss_targets_.count(),
        .has_row_weights = setup.train.complement_alpha > 0,
        .terms = list_loss_terms(setup.train, bag),
        .bag = bag,
        .longest_sequence = is_packed_ ? seq_len : 0,
        .lends_arena = plans_.empty() ? nullptr : &plans_.front().plan.plan()};
    plans_.push_back(
        {phase, order_windows(phase),
         ModelPlan(model_in_phase(setup.model, phase), weights_, rows,
                   is_packed_ ? rows_ * batches_.seq_len() : seq_len, PlanMode::kTrain, options),
         std::vector<float>(next_weights_.size(), 1.0f)});  // as a plan begins
    plans_.back().plan.set_loss_scale(1.0f / static_cast<float>(micro_batches_));
  }
  take_plan();
}

void TrainStep::take_plan() {
  for (PhasePlan& of_phase : plans_) {
    if (of_phase.phase != phases_.now()) continue;
    phase_batches_ = &of_phase.batches;
    plan_ = &of_phase.plan;
    target_weights_ = &of_phase.target_weights;
  }
}

void TrainStep::start_at(int64_t steps_done) {
  steps_done_ = steps_done;
  take_plan();
  // A rank's micro-batches of a step stand together, in the order of its leaves.
  const int64_t own = micro_batches_ / comm_.ranks(), first = comm_.rank() * own;
  const Phase phase = phases_.now();
  const int64_t rows = plan_->batch();
  const int64_t begin = is_packed_ ? steps_done * micro_batches_
                                   : phases_.first_row(steps_done, micro_batches_ * rows_);
  prefetch_.reset();
  prefetch_.emplace(
      *phase_batches_, loss_targets_, rows,
      [=, this](int64_t k) { return begin + (k / own * micro_batches_ + first + k % own) * rows; },
      phases_.bag(phase), complement_ ? &*complement_ : nullptr, micro_batches_ * rows,
      is_packed_ ? phases_.seq_len(phase) : 0);
}

std::string TrainStep::enter_phase(double fraction, double elapsed_s) {
  const Phase before = phases_.now();
  std::string lines = phases_.advance(steps_done_, fraction, elapsed_s);
  if (phases_.now() == before) return lines;
  const Phase now = phases_.now();
  if (now.is_bagged != before.is_bagged || now.length_stage != before.length_stage) {
    start_at(steps_done_);  // what was read ahead is of the other windows
    if (now.is_bagged != before.is_bagged && phases_.forgotten_steps() > 0) optimizer_.forget();
  } else {
    take_plan();
  }
  return lines;
}

TrainStep::Launched TrainStep::launch(const StepSchedule& schedule) {
  weigh_targets(schedule.fraction);
  ema_nesterov_.look_ahead(schedule);
  Launched launched;
  try {
    late_qat_.begin(schedule);
    launched.has_cut_documents = compute_gradients();
    late_qat_.end();
  } catch (...) {
    late_qat_.end();  // the last step is kept as it was
    ema_nesterov_.undo();
    throw;
  }
  is_updating_ = true;
  update(schedule);
  ema_nesterov_.follow();
  ++steps_done_;
  launched.is_rounded = late_qat_.is_on();
  launched.has_swa_begun = averager_.update(steps_done_, schedule);
  start_reading_numbers();
  launched.event = device_.record();
  is_updating_ = false;
  return launched;
}

void TrainStep::weigh_targets(double fraction) {
  loss_targets_.weigh(phases_.fraction_of_bags(fraction), next_weights_);
  if (next_weights_ == *target_weights_) return;
  std::swap(*target_weights_, next_weights_);
  plan_->set_target_weights(*target_weights_);
}

bool TrainStep::compute_gradients() {
  bool has_cut_documents = false;
  const int64_t micro_batches_of_leaf = micro_batches_ / leaves_;
  const int64_t first_leaf = comm_.rank() * own_leaves_.leaves();
  for (int64_t leaf = 0; leaf < own_leaves_.leaves(); ++leaf) {
    for (int64_t m = 0; m < micro_batches_of_leaf; ++m) {
      const MicroBatch& batch = prefetch_->next();
      plan_->load(batch.ids, batch.targets);
      if (complement_) plan_->load_row_weights(batch.weights);
      if (is_packed_) plan_->load_starts(batch.starts);
      has_cut_documents |= batch.has_cut_documents;
      plan_->run(/*accumulate=*/m > 0);
    }
    weights_.finish_gradients();
    device_.copy(leaf_losses_.as<double>() + first_leaf + leaf, plan_->device_mean_loss(),
                 sizeof(double));
    own_leaves_.add(leaf);
  }
  return has_cut_documents;
}

void TrainStep::update(const StepSchedule& schedule) {
  exchange_.reduce_gradients();
  optimizer_.sum_squares();
  exchange_.gather_sums();
  optimizer_.begin_step(steps_done_ - phases_.forgotten_steps(), schedule.lr_multiplier,
                        schedule.decay_multiplier);
  optimizer_.step_adamw();
  exchange_.start_gather_adamw();
  for (int bank = 0; bank < optimizer_.work().banks; ++bank) {
    optimizer_.step_muon(bank);
    exchange_.start_gather_bank(bank);
  }
  exchange_.finish_gathers();
  weights_.refresh_compute();
}

void TrainStep::start_reading_numbers() {
  device_.ops().sum_pieces({loss_.data(), DType::kF64}, {leaf_losses_.data(), DType::kF64},
                           leaves_);
  HostNumbers& host = numbers_[static_cast<size_t>(steps_done_ % kInFlight)];
  device_.start_download(&host.loss, loss_.data(), sizeof host.loss);
  device_.start_download(&host.squares, optimizer_.squares(), sizeof host.squares);
}

TrainStep::Numbers TrainStep::numbers(int64_t step) const {
  const HostNumbers& host = numbers_[static_cast<size_t>(step % kInFlight)];
  return {host.loss / static_cast<double>(micro_batches_), std::sqrt(host.squares)};
}

}  // namespace pg
