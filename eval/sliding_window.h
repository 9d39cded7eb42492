// Runs a model over a token stream window by window and gives the loss of every target. Shared by
// score.h's official score and its diagnostic; call those.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "eval/eval_config.h"
#include "src/data/token_file.h"
#include "src/device/device.h"
#include "src/model/model_config.h"
#include "src/plan/weights.h"

namespace pg {

// One call per window, in stream order: target t is predicted from previous[t] and what came before
// it.
struct WindowLosses {
  int64_t first_target = 0;
  std::span<const int32_t> previous;  // [scored] the token before each target
  std::span<const int32_t> targets;   // [scored]
  std::span<const float> losses;      // [scored] -log p(target), nats
};

struct LossSink {
  std::function<void(const WindowLosses&)> on_window;
  std::function<void()> on_batch;  // after every forward pass; may be empty
};

// Every target of the stream goes to the sink exactly once. The losses of a window do not depend on
// the windows that share its forward pass. Throws Error when the configuration or an id does not
// fit the model. Gives the number of windows.
int64_t score_windows(const ModelConfig& model, const std::vector<HostTensor>& tensors,
                      const TokenStream& stream, const EvalConfig& config, Device& device,
                      const LossSink& sink);

}  // namespace pg
