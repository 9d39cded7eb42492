// The score of an artifact on validation text in bits per byte, by sliding windows over the flat
// token stream.
//
// Only evaluate() makes a Score, and it takes only an UnpackedModel: a number with this type came
// out of artifact bytes. Weights that are still in training get a DiagnosticLoss, which no record
// accepts.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "eval/score/ledger.h"
#include "eval/score/scoring_checks.h"
#include "eval/score/window_share.h"
#include "eval/scoring_config.h"
#include "quant/format/unpack.h"
#include "src/base/clock.h"
#include "src/data/token_file.h"
#include "src/data/tokenizer.h"
#include "src/device/device.h"

namespace pg {

struct EvalProgress {
  int64_t tokens_done = 0, tokens_total = 0;
  double bits_per_byte = 0;  // of the targets so far; 0 while they stand for no bytes
  double elapsed_s = 0;      // as eval_s counts it
  double budget_s = 0;       // eval.wallclock_s; 0: none
  // What the whole will take at the pace so far.
  double projected_s() const {
    return tokens_done > 0
               ? elapsed_s * static_cast<double>(tokens_total) / static_cast<double>(tokens_done)
               : 0;
  }
};
// Called every few hundred targets; an exception out of it ends the scoring. May be empty.
using EvalProgressFn = std::function<void(const EvalProgress&)>;

// The stream's first token is context only; every later one is a target and is scored exactly once.
class Score {
 public:
  double loss_nats() const { return loss_nats_; }          // mean per target
  double bits_per_byte() const { return bits_per_byte_; }  // bits / bytes
  double bits() const { return bits_; }                    // sum over all targets
  int64_t tokens() const { return tokens_; }               // targets, BOS included
  int64_t bytes() const { return bytes_; }                 // of text; BOS counts 0
  int64_t documents() const { return documents_; }         // BOS tokens in the stream
  int64_t windows() const { return windows_; }
  int64_t documents_at_once() const { return documents_at_once_; }  // on each rank, side by side
  double eval_s() const { return eval_s_; }      // upload, planning and all forward passes
  double budget_s() const { return budget_s_; }  // eval.wallclock_s; 0: none
  // Such a score is a number, and no result under the budget.
  bool is_over_budget() const { return budget_s_ > 0 && eval_s_ > budget_s_; }

 private:
  friend Score evaluate(const UnpackedModel& model, const ByteTable& bytes, const TokenStream& val,
                        const ScoringConfig& config, Device& device, Clock& clock,
                        const EvalProgressFn& progress, WindowShare* share,
                        const LedgerHooks& observer);
  Score() = default;
  double loss_nats_ = 0, bits_per_byte_ = 0, bits_ = 0;
  int64_t tokens_ = 0, bytes_ = 0, documents_ = 0, windows_ = 0, documents_at_once_ = 1;
  double eval_s_ = 0, budget_s_ = 0;
};

// A number to watch during training. Not a Score: its weights never were an artifact.
struct DiagnosticLoss {
  double diagnostic_loss_nats = 0;  // mean per target
  double diagnostic_bits_per_byte = 0;
  int64_t tokens = 0, bytes = 0;
  double eval_s = 0;
};

// Throws Error when the configuration, the stream or the byte table does not fit the model, when
// the stream stands for no bytes, and when a loss is not that of a probability. The result does not
// depend on threads or ranks; nor on batch_tokens, except in its rounding where documents are scored
// side by side on a device whose rows are not independent. `share`: other ranks help, which follow; null: none.
// `observer` hears what is scored, in the order of scoring, but for the progress, which is
// `progress`'s, and no chunks.
Score evaluate(const UnpackedModel& model, const ByteTable& bytes, const TokenStream& val,
               const ScoringConfig& config, Device& device, Clock& clock,
               const EvalProgressFn& progress = {}, WindowShare* share = nullptr,
               const LedgerHooks& observer = {});
// What ranks other than 0 call meanwhile, with the same arguments; the byte table is
// config.ttt.bytes, where ttt.byte_weighted asks for it.
void follow_evaluation(const UnpackedModel& model, const TokenStream& val,
                       const ScoringConfig& config, Device& device, WindowShare& share);

DiagnosticLoss diagnose_loss(const ModelConfig& model, const std::vector<HostTensor>& tensors,
                             const ByteTable& bytes, const TokenStream& val,
                             const EvalConfig& config, Device& device, Clock& clock,
                             const EvalProgressFn& progress = {}, WindowShare* share = nullptr);
// The same of text that is at hand, on this rank alone.
DiagnosticLoss diagnose_loss(const ModelConfig& model, const std::vector<HostTensor>& tensors,
                             const ByteTable& bytes, std::span<const int32_t> text,
                             const EvalConfig& config, Device& device, Clock& clock);
void follow_diagnosis(const ModelConfig& model, const std::vector<HostTensor>& tensors,
                      const TokenStream& val, const EvalConfig& config, Device& device,
                      WindowShare& share);

// What training on the very text that is then reported on gives: published as a score in PR #398
// of the challenge. It is none, and no Score or DiagnosticLoss can be made of it.
struct ContaminatedLoss {
  double contaminated_loss_nats = 0;  // mean per target
  double contaminated_bits_per_byte = 0;
  int64_t tokens = 0, bytes = 0, epochs = 0;
  double train_s = 0, eval_s = 0;
};
// `epochs` passes of test-time SGD (its keys of `ttt`, one cosine over all passes unless ttt.cosine
// is off) over the whole text, then the plain evaluation of that text.
ContaminatedLoss diagnose_pretrained_on_val(const UnpackedModel& model, const ByteTable& bytes,
                                            const TokenStream& val, const EvalConfig& config,
                                            const TttConfig& ttt, int64_t epochs, Device& device,
                                            Clock& clock);

}  // namespace pg
