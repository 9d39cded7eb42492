// Averages of the weights over the run; what is exported is one of these, chosen by train.average.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "src/plan/weights.h"
#include "src/train/schedule.h"
#include "src/train/train_config.h"

namespace pg {

// none: the last weights.
// ema: e = d e + (1-d) w after every step, no bias correction, from the initial weights on; or from
//   the weights of a later moment on (ema_start_fraction, ema_start_lr), which it equals until then.
//   At ema_restart_fraction it begins anew from the weights.
// swa: the plain mean of snapshots taken every swa_every steps once the learning-rate multiplier, of
//   the warmdown alone, is below swa_start_lr; before the first it is the last weights (Izmailov et
//   al. 2018).
// ema_swa: the same of the EMA; before the first snapshot it is the EMA.
// lawa: the mean of the last lawa_count snapshots, one every lawa_every steps; before the first it is
//   the last weights (Kaddour 2022).
// best: ema, ema_swa, swa and none at once; who calls chooses among candidates().
class Averager {
 public:
  static constexpr int64_t kBestOf = 4;  // candidates of best, at most

  Averager(Weights& weights, const TrainConfig& config);

  // Call after every optimizer step; true when the first SWA snapshot was taken by this call.
  bool update(int64_t steps_done, const StepSchedule& schedule);

  // What may be exported: of best those that differ from others so far, the EMA first; else one.
  std::vector<Average> candidates() const;
  std::string describe(Average candidate) const;  // "ema 0.997", "swa of 31", "none"
  std::string describe() const { return describe(candidates().front()); }
  // Of the parameters that are exported.
  std::vector<HostTensor> download(Average candidate) const;
  std::vector<HostTensor> download() const { return download(candidates().front()); }
  // The first candidate, into tensors that an earlier call filled, without allocating; empty ones are
  // filled too.
  void download(std::vector<HostTensor>& tensors) const;

  int64_t snapshots() const { return snapshots_; }
  // State for a resumed run: on the device the flat f32 average and, where there are more, the
  // snapshots [kept_snapshots of them, flat_elements] - and how far it has come, in one number.
  float* state() const { return average_.as<float>(); }
  float* kept_snapshots() const { return kept_.as<float>(); }
  int64_t progress() const { return begins_ << 32 | snapshots_; }
  void set_progress(int64_t progress);
  // Flat arrays behind the average: of ema_swa the mean, of lawa its snapshots, of best two means, of
  // the EMA and of the weights.
  static int64_t count_kept(const TrainConfig& config);

 private:
  // Of best, behind the mean of the EMA.
  float* mean_of_weights() const { return kept_snapshots() + weights_->flat_elements(); }
  void update_ema(const StepSchedule& schedule);
  bool update_swa(int64_t steps_done, const StepSchedule& schedule);
  void update_lawa(int64_t steps_done);
  void lerp(float* average, const float* x, double decay);
  const float* place_of(Average candidate) const;
  void download(Average candidate, std::vector<HostTensor>& tensors) const;

  Weights* weights_;
  TrainConfig config_;
  DeviceBuffer average_;  // [flat_elements] f32
  DeviceBuffer kept_;     // [count_kept(), flat_elements] f32
  DeviceBuffer decay_;    // [1] f32; of lawa [lawa_count]: those of a mean
  int64_t snapshots_ = 0;
  int64_t begins_ = 0;  // of the EMA, after the initial weights
};

}  // namespace pg
