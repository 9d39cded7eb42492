// The one caller of SgdTrainer that gives it text nobody has scored, which is why its result is a
// type of its own. Not part of the counted code: no score needs it.
#include "eval/learn/sgd_trainer.h"
#include "eval/score.h"

namespace pg {

ContaminatedLoss diagnose_pretrained_on_val(const UnpackedModel& model, const ByteTable& bytes,
                                            const TokenStream& val, const EvalConfig& config,
                                            const TttConfig& ttt, int64_t epochs, Device& device,
                                            Clock& clock) {
  const double start_s = clock.now_s();
  std::vector<int32_t> tokens(static_cast<size_t>(val.size()));
  val.read(0, tokens);
  Weights weights(device, choose_sgd_params(model.config(), ttt), /*with_gradients=*/true);
  weights.upload(model.tensors());
  TttConfig weighted = ttt;
  weighted.bytes = &bytes;
  SgdTrainer trainer(model.config(), weighted, config.context, weights);
  for (int64_t epoch = 0; epoch < epochs; ++epoch) {
    trainer.train_pass(tokens, 1, val.size(), learning_rate(ttt, epoch, epochs + 1));
  }
  const double trained_s = clock.now_s();
  const DiagnosticLoss loss =
      diagnose_loss(model.config(), weights.download(), bytes, val, config, device, clock);
  return {.contaminated_loss_nats = loss.diagnostic_loss_nats,
          .contaminated_bits_per_byte = loss.diagnostic_bits_per_byte,
          .tokens = loss.tokens,
          .bytes = loss.bytes,
          .epochs = epochs,
          .train_s = trained_s - start_s,
          .eval_s = loss.eval_s};
}

}  // namespace pg
