// What a parameter of a model is: its name, shape, optimizer group, first value and place.
#pragma once
#include <cstdint>
#include <string>

namespace pg {

// Which optimizer group a parameter belongs to; the quantiser chooses its bits by it too.
enum class ParamGroup : uint8_t {
  kMatrix,     // Muon; quantised to matrix_bits
  kEmbedding,  // AdamW at embed_lr; quantised to embed_bits
  kScalar,     // AdamW at scalar_lr: vectors, gains, small projections
  // <parts>
  kHead,    // AdamW at head_lr; quantised as embeddings
  kMemory,  // AdamW at scalar_lr without weight decay; fp16
  // </parts>
  kAdapter,  // of test-time training; never in an artifact
};

// What a parameter is in the model. An adapter has the role of the matrix that it adapts.
enum class ParamRole : uint8_t {
  kNone,
  kTokenEmbedding,  // also the output head, where that is tied to it
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
  // <parts>
  kGate,
  kAttentionNormGain,
  kMlpNormGain,
  kFinalNormGain,  // of no block, as the next three
  kLogitSides,
  kTokenSmearGate,
  kTokenSmearScale,
  kOwnValueScale,
  kFirstValueScale,
  kSkipGate,  // of a block that takes a skip
  kHeadGate,
  kHeadGateBias,
  kLaneKeep0,  // of a block with lanes; at last digit the lane, or which branch is behind it
  kLaneKeep1,
  kAttentionToLane0,
  kAttentionToLane1,
  kMlpToLane0,
  kMlpToLane1,
  kMuddHidden,  // behind a run of a block, as the next four
  kMuddStream,
  kMuddStreamShare,
  kMuddValue,
  kMuddValueShare,
  // </parts>
  kDown,
  kMlpScale,
  // <parts>
  // of a block, adapters alone: what they adapt is a branch of it, and they read its normed input
  kBesideAttention,
  kBesideMlp,
  // </parts>
  // of a block that takes a skip
  kSkip,
  // <parts>
  kHead,
  kMemory,
  // </parts>
  // <train_gpt>
  // of training alone: what predicts further tokens
  kFutureHead,
  kFutureState,
  kFutureToken,
  // </train_gpt>
};

// Which factor of a low-rank adapter a parameter is, if it is one: src/model/learning/adapters.h.
enum class AdapterFactor : uint8_t { kNone, kA, kB };

// Where a parameter stands; no two parameters of a model have the same place.
struct ParamPlace {
  ParamRole role = ParamRole::kNone;
  int64_t layer = -1;  // -1: of no block
  AdapterFactor factor = AdapterFactor::kNone;
  // <train_gpt>
  int64_t slot = 0;  // of adapters: which of the rows that are scored side by side has them
  // </train_gpt>
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
  // <train_gpt>
  bool is_exported = true;  // false: training needs it and nothing after; in no artifact
  // </train_gpt>
  // The vector [rows] that scales the rows of the compute copy, if there is one: a scale behind a
  // linear map costs no pass over its output that way.
  ParamPlace row_scale = {};
  bool has_row_scale() const { return row_scale.role != ParamRole::kNone; }
  int64_t elements() const { return rows * cols; }
};

}  // namespace pg
