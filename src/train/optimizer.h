// Muon for the matrices, AdamW for the rest, after clipping the reduced gradient (formulas.md 3).
// With several ranks each steps what is its own (rank_work.h); one rank owns everything.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "src/plan/weights.h"
#include "src/train/rank_work.h"
#include "src/train/train_config.h"

namespace pg {

class Optimizer {
 public:
  // The weights must have gradients and outlive this.
  Optimizer(Weights& weights, const OptimizerConfig& config, int rank = 0, int ranks = 1);

  // One step of one rank from Weights::gradients(), which are finished and reduced: the parts below
  // in their order, and the compute copies. steps_done counts the steps before this one.
  void step(int64_t steps_done, double lr_multiplier, double decay_multiplier = 1.0);

  // The parts of a step, for ranks that talk in between. Each only gives work to the device.
  void sum_squares();  // of this rank's gradients
  // Needs the sums of all ranks. The decay's multiplier is of the matrices' weight decay.
  void begin_step(int64_t steps_done, double lr_multiplier, double decay_multiplier);
  void step_adamw();
  void step_muon(int bank);

  const WorkTable& work() const { return work_; }
  const RankWork& own_work() const { return work_.ranks[static_cast<size_t>(rank_)]; }
  int64_t ops_per_step() const;   // of this rank, the compute copies included
  double flops_per_step() const;  // of the products of Newton-Schulz, on this rank
  double* square_sums() const { return sums_.as<double>(); }  // [work().sums] f64
  // The sum of the squares of the gradient of the last step, before clipping; [1] f64.
  const double* squares() const { return squares_.as<double>(); }
  // L2 norm of that gradient. Waits for the device.
  double grad_norm() const;

  // Sets what follows to what it is before the first step.
  void forget();
  // What a resumed run needs, f32 on the device: momentum of every parameter [flat_elements], and the
  // second moments of those that AdamW steps, [flat_elements - matrix_elements]. A rank keeps those
  // of its own parameters.
  float* first_moments() const { return first_.as<float>(); }
  float* second_moments() const { return second_.as<float>(); }
  // NorMuon's second moments of neurons [work().neurons]; null where it is off.
  float* neuron_moments() const { return neuron_moments_.as<float>(); }

 private:
  // Matrices of a bank that have one shape, which go through Newton-Schulz together.
  struct EqualMatrices {
    int bank = 0;
    std::vector<size_t> works;         // of own_work().muon
    std::vector<MatricesOut> updates;  // of each, where it is made orthogonal
  };

  void list_equal_matrices();
  void give_adamw();
  void give_muon(const EqualMatrices& matrices);
  bool is_balanced(const MatrixBatch& shape) const;
  void orthogonalise(const EqualMatrices& matrices);
  void normalise_neurons(Out update, const MuonWork& work);
  // In a buffer that a bank's updates lie in as its matrices do.
  static Out at(const DeviceBuffer& buffer, const MuonWork& work) {
    return {buffer.as<float>() + work.update_offset, DType::kF32};
  }
  In scalars_at(size_t place) const { return {scalars_.as<float>() + place, DType::kF32}; }

  Weights* weights_;
  OptimizerConfig config_;
  std::vector<NewtonSchulzCoefficients> iterations_;
  int rank_;
  WorkTable work_;
  DeviceBuffer first_, second_;  // momentum of Muon and AdamW; AdamW's second moments
  DeviceBuffer neuron_moments_;
  std::vector<EqualMatrices> equal_matrices_;
  DeviceBuffer update_;       // [work.update_elements] f32
  DeviceBuffer polar_;        // Aurora: [work.update_elements] f32
  DeviceBuffer balance_;      // Aurora: [the most of the longer sides of equal matrices] f32
  DeviceBuffer sums_;         // [work.sums] f64
  DeviceBuffer squares_;      // [1] f64
  DeviceBuffer coefficient_;  // [1] f32
  // What changes from step to step, written once a step: see the places in optimizer.cpp.
  std::vector<float> host_scalars_;
  DeviceBuffer scalars_;
  std::unique_ptr<KeptWork> kept_adamw_;
  std::vector<std::unique_ptr<KeptWork>> kept_muon_;  // of each bank
};

}  // namespace pg
