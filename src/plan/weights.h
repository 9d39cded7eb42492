// The parameters of a model on a device: fp32 masters, fp32 gradients, and the copies that the
// matmuls and gathers of a plan read: in the compute type, rows scaled where a parameter says so.
// Plans of any shape share one Weights. Where in memory they lie says weight_layout.h.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/device/device.h"
#include "src/plan/param_spec.h"
#include "src/plan/weight_layout.h"

namespace pg {

// A named fp32 matrix on the host: what training hands to the quantiser and the unpacker to a
// scorer.
struct HostTensor {
  ParamSpec spec;
  std::vector<float> values;  // [rows, cols]
};

class Weights {
 public:
  // Without gradients a Weights serves inference only. All values start at zero. Adapters stand
  // behind the model's own parameters.
  Weights(Device& device, std::vector<ParamSpec> specs, bool with_gradients);

  int count() const { return static_cast<int>(params_.size()); }
  // Index of a parameter; PG_CHECKs that it exists.
  int find(std::string_view name) const;
  int find(const ParamPlace& place) const;
  bool has(const ParamPlace& place) const { return search(place) >= 0; }
  const ParamSpec& spec(int index) const { return specs_[static_cast<size_t>(index)]; }
  int64_t elements() const { return elements_; }

  float* master(int index) const { return at(index).master; }  // [rows, cols] f32
  float* gradient(int index) const {
    return at(index).gradient;
  }  // [rows, cols] f32; null without gradients and when frozen
  // What a plan reads: the compute copy when the parameter has one, else the master.
  In compute(int index) const;
  // The same of joined parameters in the form of Ops::pack, made here at the first call and kept up
  // to date by refreshing; empty where the device has none.
  In packed(std::span<const int> indices);
  // Whether the parameters lie behind each other without a gap, copies and gradients too, so that
  // they are one matrix to a product.
  bool are_joined(std::span<const int> indices) const;

  // All masters (gradients) as one flat range in the order of memory, padded with zeros between
  // parameters.
  float* masters() const { return masters_.as<float>(); }
  float* gradients() const { return gradients_.as<float>(); }
  const WeightLayout& layout() const { return layout_; }
  const std::vector<ParamSpec>& specs() const { return specs_; }
  int64_t flat_elements() const { return layout_.elements(); }
  // Of gradients(): fewer than the masters when parameters are frozen.
  int64_t gradient_elements() const { return layout_.gradient_elements(); }

  // Sets every master from its spec and the seed: the same values for any device and order of
  // creation.
  void initialise(uint64_t seed);
  void initialise(int index, uint64_t seed);  // one parameter; the same value as among all
  // Copies masters into the compute copies; call after every change of the masters.
  void refresh_compute() { refresh(/*trained_alone=*/false); }
  // The same where nothing but trained parameters has changed; leaves out the frozen ones.
  void refresh_trained() { refresh(/*trained_alone=*/true); }
  // Plans leave the gradients of what they read. This makes those of the masters from them, once,
  // when all has been added: those of scaled rows, and of the scales themselves.
  void finish_gradients();
  // Ops that the two take together.
  int64_t refresh_ops() const {
    return static_cast<int64_t>(casts_.size() + scaled_.size() + trained_scaled_.size());
  }

  std::vector<HostTensor> download() const;
  // Sets masters and compute copies from host values; the names and shapes must match the model's
  // own parameters exactly, else Error. Adapters that are left out keep their values.
  void upload(const std::vector<HostTensor>& tensors);

  Device& device() const { return *device_; }

 private:
  struct Param {
    float* master = nullptr;
    float* gradient = nullptr;
    void* compute = nullptr;
  };
  // Compute copies that one op makes: casts, or matrices whose rows are scaled.
  struct Cast {
    int64_t master_offset = 0, compute_offset = 0, elements = 0;
    bool is_trained = false;
  };
  struct Packed {
    std::vector<int> params;
    DeviceBuffer data;
  };
  struct ScaledRows {
    ParamBatch batch;
    int64_t compute_offset = 0;
    int64_t scale_offset = 0, scale_stride = 0;  // of the scales, in the masters
    bool is_trained = false;                     // any of them, or a scale
  };
  const Param& at(int index) const { return params_[static_cast<size_t>(index)]; }
  int search(const ParamPlace& place) const;  // -1: absent
  void place_copies();
  void refresh(bool trained_alone);
  bool is_trained(int index) const;                  // it, or what scales its rows
  int64_t rows(std::span<const int> indices) const;  // of joined parameters
  void pack(const Packed& packed);
  std::vector<ParamBatch> batch_scaled(std::span<const int> params) const;
  ScaledRows describe_scaled(const ParamBatch& batch) const;
  void* compute_at(int64_t offset) const;

  Device* device_;
  std::vector<ParamSpec> specs_;
  WeightLayout layout_;
  std::vector<Param> params_;
  std::vector<Cast> casts_;
  std::vector<ScaledRows> scaled_, trained_scaled_;
  std::vector<Packed> packed_;
  DeviceBuffer masters_, gradients_, compute_;
  int64_t elements_ = 0;
};

}  // namespace pg
