// The number of every op; what else there is to say of them: op_list.h.
#pragma once
#include <cstdint>

namespace pg {

enum class OpId : uint8_t {
  kLinear,
  kLinearDx,
  kLinearDw,
  kEmbed,
  kEmbedBackward,
  kBigramHash,
  // <train_gpt>
  kMeanBags,
  kMeanBagsBackward,
  // </train_gpt>
  kAddScaled,
  kAddScaledBackward,
  kMix,
  kMixBackward,
  kLeakyRelu2,
  kLeakyRelu2Backward,
  // <parts>
  kSwiglu,
  kSwigluBackward,
  kTokenSmear,
  kTokenSmearBackward,
  kGatedMix,
  kGatedMixBackward,
  kBlend,
  kBlendBackward,
  kGateHeads,
  kGateHeadsBackward,
  kMixLayers,
  kMixLayersBackward,
  kPrependRows,
  kPrependRowsBackward,
  // </parts>
  kSmear,
  kSmearBackward,
  kRmsnorm,
  kRmsnormBackward,
  kMixRmsnorm,
  kMixRmsnormBackward,
  kQkNormRope,
  kQkNormRopeBackward,
  kAttention,
  kAttentionBackward,
  kXsa,
  kXsaBackward,
  kSoftcapXent,
  kSoftcapXentBackward,
  // <parts>
  kSoftcapXentSidesBackward,
  // </parts>
  kSoftcapLogProbs,
  kCast,
  kSum,
  kSumSquares,
  kSumPieces,
  kClipCoefficient,
  kScaleRows,
  kScaleRowsBackward,
  kAdamw,
  kMuonMomentum,
  kNewtonSchulz,
  kNormuon,
  kBalanceNeurons,
  kApplyUpdate,
  kLerp,
  kCount
};

}  // namespace pg
