// A learner of every kind on a small model and 150 random tokens, in exact arithmetic and on one thread.
#pragma once
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "eval/learn/make_learner.h"
#include "eval/score/network_scorer.h"
#include "src/base/threads.h"
#include "src/device/registry/make_device.h"
#include "tests/eval/eval_fixture.h"

namespace pg {

inline constexpr int64_t kContext = 16, kChunk = 24, kTokens = 150;

class TestTimeTraining : public testing::Test {
 protected:
  TestTimeTraining() { set_thread_count(1); }
  ~TestTimeTraining() override { set_thread_count(threads_); }

  static TttConfig make_ttt(TttKind kind) {
    TttConfig ttt;
    ttt.kind = kind;
    ttt.chunk_tokens = kChunk;
    ttt.batch_tokens = 2 * kContext;
    ttt.epochs = 2;
    ttt.lr = 0.02;
    ttt.lora_chunk_tokens = 8;
    ttt.lora_rank = 3;
    ttt.lora_lr = 0.01;
    ttt.lora_targets = "q,v,out,head";
    ttt.lora_reset = LoraReset::kNone;
    static const ByteTable bytes = make_test_bytes();
    ttt.bytes = &bytes;
    return ttt;
  }
  std::unique_ptr<Learner> make(const TttConfig& ttt, int64_t tokens) const {
    return make_learner(ttt, config_, eval_, tokens);
  }
  std::vector<float> list_losses_with(const TttConfig& ttt, const std::vector<uint16_t>& ids,
                                      LedgerTier tier = LedgerTier::kMetered) {
    NetworkScorer scorer(model_, eval_, *device_, nullptr,
                         make(ttt, static_cast<int64_t>(ids.size())));
    return list_losses(scorer, ids, tier);
  }

  const int threads_ = thread_count();
  const ModelConfig config_ = make_test_config();
  const UnpackedModel model_ = make_artifact_model(config_, make_random_weights(config_, 1));
  const EvalConfig eval_ = {.context = kContext, .stride = 8, .batch_tokens = 64};
  const std::vector<uint16_t> ids_ = make_random_ids(kTokens, 2);
  const std::unique_ptr<Device> device_ = make_device("cpu:exact");
};

}  // namespace pg
