// The parameters of a model on a device: fp32 masters, fp32 gradients, and copies in the compute
// type, where that is narrower, which the matmuls and gathers of a plan read. Plans of any shape
// share one Weights.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "src/device/device.h"

namespace pg {

// Which optimizer group a parameter belongs to; the quantiser chooses its bits by it too.
enum class ParamGroup : uint8_t {
  kMatrix,     // Muon; quantised to matrix_bits
  kEmbedding,  // AdamW at embed_lr; quantised to embed_bits
  kScalar,     // AdamW at scalar_lr: vectors, gains, small projections
  kAdapter,    // of test-time training; never in an artifact
};

// What a parameter is in the model. An adapter has the role of the matrix that it adapts.
enum class ParamRole : uint8_t {
  kNone,
  kTokenEmbedding,  // also the output head, which is tied to it
  kBigramTable,
  kBigramProjection,
  kBigramScale,
  kSmearGate,
  kValueTable,
  kValueProjection,
  kValueScale,
  // of a block
  kMixX,
  kMixX0,
  kQ,
  kK,
  kV,
  kQGain,
  kBlockValueScale,
  kOut,
  kAttentionScale,
  kUp,
  kDown,
  kMlpScale,
  // of a block that takes a skip
  kSkip,
};

// Which factor of a low-rank adapter a parameter is, if it is one: src/model/adapters.h.
enum class AdapterFactor : uint8_t { kNone, kA, kB };

// Where a parameter stands; no two parameters of a model have the same place.
struct ParamPlace {
  ParamRole role = ParamRole::kNone;
  int64_t layer = -1;  // -1: of no block
  AdapterFactor factor = AdapterFactor::kNone;
  bool operator==(const ParamPlace&) const = default;
};

enum class ParamInit : uint8_t { kConstant, kNormal, kOrthogonal, kUniform };

struct ParamSpec {
  std::string name;  // "blocks.3.attn.q"
  int64_t rows = 1, cols = 1;
  ParamGroup group = ParamGroup::kScalar;
  ParamInit init = ParamInit::kConstant;
  float init_value = 0;  // the constant, the standard deviation, the gain, or the largest value
  bool has_compute_copy = false;  // read by linear or embed, which take the compute type
  bool trainable = true;          // false: no plan computes its gradient, which takes no memory
  ParamPlace place = {};
  int64_t elements() const { return rows * cols; }
};

// A named fp32 matrix on the host: what training hands to the quantiser and the unpacker to a
// scorer.
struct HostTensor {
  ParamSpec spec;
  std::vector<float> values;  // [rows, cols]
};

// What Weights::flat_elements() of these is.
int64_t count_flat_elements(const std::vector<ParamSpec>& specs);

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
  const ParamSpec& spec(int index) const { return at(index).spec; }
  int64_t elements() const { return elements_; }

  float* master(int index) const { return at(index).master; }  // [rows, cols] f32
  float* gradient(int index) const {
    return at(index).gradient;
  }  // [rows, cols] f32; null without gradients and when frozen
  // What a plan reads: the compute copy when the parameter has one, else the master.
  In compute(int index) const;

  // All masters (gradients) as one flat range in parameter order, padded with zeros between
  // parameters.
  float* masters() const { return masters_.as<float>(); }
  float* gradients() const { return gradients_.as<float>(); }
  int64_t flat_elements() const { return flat_elements_; }
  // Of gradients(): fewer than the masters when parameters are frozen.
  int64_t gradient_elements() const { return gradient_elements_; }

  // Sets every master from its spec and the seed: the same values for any device and order of
  // creation.
  void initialise(uint64_t seed);
  void initialise(int index, uint64_t seed);  // one parameter; the same value as among all
  // Copies masters into the compute copies; call after every change of the masters.
  void refresh_compute();

  std::vector<HostTensor> download() const;
  // Sets masters and compute copies from host values; the names and shapes must match the model's
  // own parameters exactly, else Error. Adapters that are left out keep their values.
  void upload(const std::vector<HostTensor>& tensors);

  Device& device() const { return *device_; }

 private:
  struct Param {
    ParamSpec spec;
    float* master = nullptr;
    float* gradient = nullptr;
    void* compute = nullptr;
  };
  const Param& at(int index) const { return params_[static_cast<size_t>(index)]; }
  int search(const ParamPlace& place) const;  // -1: absent

  Device* device_;
  std::vector<Param> params_;
  DeviceBuffer masters_, gradients_, compute_;
  int64_t elements_ = 0, flat_elements_ = 0, gradient_elements_ = 0;
};

}  // namespace pg
