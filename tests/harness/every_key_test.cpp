// No key is inert: each of [model], [train] and [optimizer] changes a small run, or is one of those
// that by the table only show or keep, and then it changes nothing.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "harness/recipe/config_fields.h"
#include "src/base/bytes.h"
#include "src/base/hash.h"
#include "tests/train/trainer_fixture.h"

namespace pg {
namespace {

// Another value of a key, and what the small run must be for it to matter.
struct Change {
  std::string value;
  std::vector<std::string> where = {};
};

// Clocks tick half a second a look, so that caps and what is kept free of them matter.
const std::map<std::string, Change>& changes() {
  static const std::map<std::string, Change> all = {
      {"model.vocab_size", {"62"}},
      {"model.layers", {"3"}},
      {"model.dim", {"24"}},
      {"model.heads", {"2"}},
      {"model.kv_heads", {"4"}},
      {"model.mlp_hidden", {"40"}},
      {"model.leaky_slope", {"0.25"}},
      {"model.rope_dims", {"8"}},
      {"model.rope_base", {"100.0"}},
      {"model.rope_ntk_length", {"8"}},
      {"model.rope_context", {"64", {"model.rope_ntk_length=8"}}},
      {"model.qk_gain_init", {"1.0"}},
      {"model.ln_scale", {"false"}},
      {"model.xsa_last_n", {"1"}},
      {"model.unet_skips", {"false"}},
      {"model.resid_mix", {"false"}},
      {"model.smear_gate", {"false"}},
      {"model.bigram_buckets", {"31"}},
      {"model.bigram_dim", {"16"}},
      {"model.value_embed_dim", {"16"}},
      {"model.value_embed_layers", {"1"}},
      {"model.logit_softcap", {"20.0"}},
      {"model.tied_head", {"false"}},
      {"model.trigram", {"true"}},
      {"model.bigram_projection", {"\"muon\""}},
      {"model.value_projection", {"\"muon\""}},
      {"model.memory_tokens", {"3"}},
      {"model.yarn_factor", {"2.0", {"model.rope_ntk_length=0"}}},
      {"optimizer.head_lr", {"0.1", {"model.tied_head=false"}}},
      {"model.softcap_form", {"\"none\""}},
      {"model.softcap_shift", {"2.0", {"model.softcap_form=\"asymmetric\""}}},
      {"model.softcap_width", {"9.0", {"model.softcap_form=\"asymmetric\""}}},
      {"model.embed_init_std", {"0.01"}},
      {"model.q_gain", {"false"}},
      {"model.block_scales", {"false"}},
      {"model.qk_norm", {"false"}},
      {"model.mlp", {"\"swiglu\""}},
      {"model.norm_gains", {"true"}},
      {"model.token_smear", {"true", {"model.smear_gate=false"}}},
      {"model.token_smear_width", {"4", {"model.smear_gate=false", "model.token_smear=true"}}},
      {"model.bos_id", {"5", {"model.smear_gate=false", "model.token_smear=true"}}},
      {"model.skip_gates", {"true"}},
      {"model.mudd_at", {"\"1,2\""}},
      {"model.mudd_local_at", {"\"1\"", {"model.mudd_at=\"1\""}}},
      {"model.mudd_value_at", {"\"1\"", {"model.mudd_at=\"1\""}}},
      {"model.paired_heads_at", {"\"1\""}},
      {"model.parallel_residual", {"\"gptj\"", {"model.parallel_from=2"}}},
      {"model.parallel_from", {"2", {"model.parallel_residual=\"gptj\"", "model.parallel_from=3"}}},
      {"model.attention_gate", {"\"output\""}},
      {"model.attention_gate_width", {"4", {"model.attention_gate=\"output\""}}},
      {"model.attention_gate_scale", {"2.0", {"model.attention_gate=\"sparse\""}}},
      {"model.value_residual", {"\"mean\""}},
      {"model.value_embed_at", {"\"0\""}},
      {"model.loop_first",
       {"1", {"model.loop_passes=2", "model.loop_first=2", "model.loop_last=2"}}},
      {"model.loop_last",
       {"2", {"model.loop_passes=2", "model.loop_first=1", "model.loop_last=1"}}},
      {"model.loop_passes", {"3", {"model.loop_first=1", "model.loop_last=2"}}},
      {"train.wallclock_s", {"20", {"train.wallclock_s=40"}}},
      {"train.reserve_s", {"1", {"train.wallclock_s=20"}}},
      {"train.max_steps", {"10"}},
      {"train.batch_tokens", {"128"}},
      {"train.micro_batch_tokens", {"256"}},
      {"train.seq_len", {"16"}},
      {"train.seed", {"1338"}},
      {"train.warmdown_form", {"\"fraction\"", {"train.wallclock_s=40"}}},
      {"train.warmdown_steps", {"6"}},
      {"train.warmdown_fraction",
       {"0.3", {"train.warmdown_form=\"fraction\"", "train.wallclock_s=40"}}},
      {"train.min_lr", {"0.5"}},
      {"train.average", {"\"swa\"", {"train.swa_every=1", "train.swa_start_lr=1"}}},
      {"train.ema_decay", {"0.5"}},
      {"train.swa_every",
       {"1", {"train.average=\"swa\"", "train.swa_every=2", "train.swa_start_lr=1"}}},
      {"train.swa_start_lr", {"0.9", {"train.average=\"swa\"", "train.swa_every=1"}}},
      {"train.log_every", {"3"}},
      {"train.val_every", {"4"}},
      {"train.checkpoint_every_s", {"0.000001"}},
      {"train.gradient_leaves", {"2"}},
      {"train.bag_targets", {"4"}},
      {"train.bag_fraction", {"0.6", {"train.bag_targets=4"}}},
      {"train.bag_weights", {"\"power_law\"", {"train.bag_targets=4"}}},
      {"train.future_targets", {"2"}},
      {"train.future_weight", {"0.25", {"train.future_targets=2"}}},
      {"train.future_until", {"0.3", {"train.future_targets=2"}}},
      {"train.prefix_weight", {"0.25"}},
      {"train.late_qat_lr", {"0.9", {"quant.fill_cap=false", "quant.scales=\"sdclip\""}}},
      {"train.z_loss", {"0.001"}},
      {"train.complement_alpha", {"0.5"}},
      {"train.mtp_heads", {"2"}},
      {"train.mtp_modules", {"1"}},
      {"train.mtp_weight", {"0.3", {"train.mtp_heads=1"}}},
      {"train.mtp_group", {"\"adam\"", {"train.mtp_heads=1"}}},
      {"train.loop_from",
       {"0.5", {"model.loop_passes=2", "model.loop_first=1", "model.loop_last=2"}}},
      {"train.bag_inputs", {"true", {"train.bag_targets=4"}}},
      {"train.bag_reset", {"true", {"train.bag_targets=4", "train.bag_inputs=true"}}},
      {"train.bag_iso_data", {"true", {"train.bag_targets=4", "train.bag_inputs=true"}}},
      {"train.seq_len_growth", {"\"8@0.3,16@0.5,32@1\""}},
      {"train.warmdown_shape", {"\"cosine\""}},
      {"train.lr_warmup_steps", {"3"}},
      {"train.ema_start_fraction", {"0.4"}},
      {"train.ema_start_lr", {"0.9"}},
      {"train.ema_restart_fraction", {"0.5"}},
      {"train.held_out_tokens", {"5000", {"train.average=\"best\"", "train.held_out_tokens=100"}}},
      {"train.lawa_every", {"2", {"train.average=\"lawa\"", "train.lawa_every=1"}}},
      {"train.lawa_count", {"3", {"train.average=\"lawa\"", "train.lawa_every=1"}}},
      {"optimizer.newton_schulz_scaling", {"\"aol\""}},
      {"optimizer.aurora_iterations", {"2"}},
      {"optimizer.aurora_beta", {"0.25", {"optimizer.aurora_iterations=2"}}},
      {"optimizer.normuon", {"\"paper\""}},
      {"optimizer.normuon_beta2", {"0.5", {"optimizer.normuon=\"paper\""}}},
      {"optimizer.cautious_weight_decay", {"true"}},
      {"optimizer.weight_decay_taper_start", {"0.2"}},
      {"optimizer.weight_decay_taper_end", {"0.1", {"optimizer.weight_decay_taper_start=0.2"}}},
      {"optimizer.embed_weight_decay", {"0.5"}},
      {"optimizer.embed_beta1", {"0.5"}},
      {"optimizer.embed_beta2", {"0.5"}},
      {"optimizer.ema_nesterov_beta", {"0.5"}},
      {"optimizer.ema_nesterov_gamma", {"0.5", {"optimizer.ema_nesterov_beta=0.5"}}},
      {"optimizer.ema_nesterov_start", {"0.4", {"optimizer.ema_nesterov_beta=0.5"}}},
      {"optimizer.ema_nesterov_end", {"0.4", {"optimizer.ema_nesterov_beta=0.5"}}},
      {"optimizer.matrix_lr", {"0.02"}},
      {"optimizer.embed_lr", {"0.02"}},
      {"optimizer.scalar_lr", {"0.02"}},
      {"optimizer.muon_momentum", {"0.8", {"optimizer.muon_momentum_warmup_steps=2"}}},
      {"optimizer.muon_momentum_start", {"0.5"}},
      {"optimizer.muon_momentum_warmup_steps", {"4"}},
      {"optimizer.newton_schulz_steps", {"4"}},
      {"optimizer.newton_schulz", {"\"polar_express\""}},
      {"optimizer.muon_row_norm", {"true"}},
      {"optimizer.muon_weight_decay", {"0.5"}},
      {"optimizer.adam_weight_decay", {"0.5"}},
      {"optimizer.adam_beta1", {"0.5"}},
      {"optimizer.adam_beta2", {"0.5"}},
      {"optimizer.adam_epsilon", {"0.01"}},
      {"optimizer.grad_clip_norm", {"0.05"}},
  };
  return all;
}

// One rank sums alike in either way; that several do not: Ranks.FastSumsTrainAlikeButAreNotTheSameSums.
const std::set<std::string> kForSeveralRanks = {"train.sums"};

class EveryKey : public TrainerTest {
 protected:
  EveryKey() {
    base_.model = setup_.model;
    base_.train = setup_.train;
    base_.train.ema_decay = 0.9;
    settle_rope_context(base_);
    // Windows that differ, as those of the repeated text do not.
    std::vector<uint16_t> ids;
    for (const int32_t id : make_ids(20000, 61, 3)) ids.push_back(static_cast<uint16_t>(id));
    std::filesystem::remove(folder_ / "train_000000.bin");
    write_shard(folder_ / "train_000000.bin", ids);
    stream_.emplace(TokenStream::open((folder_ / "train_*.bin").string(), 61));
  }

  // Steps, loss and exported weights of a run.
  std::string digest(const Recipe& recipe) {
    TrainSetup setup = setup_;
    if (recipe.train.prefix_weight > 0) {
      for (int32_t id = 0; id < recipe.model.vocab_size; ++id)
        setup.prefix_of.push_back(id / 2 - 1);
    }
    setup.model = recipe.model;
    setup.train = recipe.train;
    setup.optimizer = recipe.optimizer;
    setup.checkpoint_file = folder_ / "checkpoint.bin";
    setup.rest_s = 15;
    setup.validate = [](const std::vector<HostTensor>&) { return ValidationScore{}; };
    std::filesystem::remove(setup.checkpoint_file);
    TickingClock clock(0.5);
    setup.clock = &clock;
    const Batches batches(*stream_, Loader::kShuffled, static_cast<uint64_t>(recipe.train.seed),
                          recipe.train.seq_len, held_out_tokens(recipe.train));
    setup.batches = &batches;
    const TrainResult result = train(setup);
    ByteWriter writer;
    writer.u64(static_cast<uint64_t>(result.steps));
    writer.f64(result.last_loss_nats);
    for (const HostTensor& tensor : result.exported) {
      writer.string(tensor.spec.name);
      for (const float value : tensor.values) writer.f32(value);
    }
    return hex(sha256(writer.buffer()));
  }

  Recipe with(const std::vector<std::string>& assignments) const {
    Recipe recipe = base_;
    for (const std::string& assignment : assignments) apply_override(recipe, assignment);
    return recipe;
  }

  Recipe base_;
};

TEST_F(EveryKey, ChangesARunOrIsOneThatOnlyShowsOrKeeps) {
  visit_recipe_fields(base_, [&](const char* section, const FieldInfo& info, const auto&) {
    if (section != std::string("model") && section != std::string("train") &&
        section != std::string("optimizer")) {
      return;
    }
    const std::string key = std::string(section) + "." + info.key;
    SCOPED_TRACE(key);
    if (kForSeveralRanks.contains(key)) return;
    const auto change = changes().find(key);
    ASSERT_NE(change, changes().end()) << "say here with which value a small run differs";
    std::vector<std::string> assignments = change->second.where;
    const std::string before = digest(with(assignments));
    assignments.push_back(key + "=" + change->second.value);
    const std::string after = digest(with(assignments));
    if (have_common(info.affects, Affects::kTraining)) {
      EXPECT_NE(before, after) << "the key does nothing";
    } else {
      EXPECT_EQ(before, after) << "the key changes numbers, and the table says it does not";
    }
  });
}

TEST_F(EveryKey, OfTheTestIsAKeyOfTheTable) {
  std::set<std::string> keys;
  visit_recipe_fields(base_, [&](const char* section, const FieldInfo& info, const auto&) {
    keys.insert(std::string(section) + "." + info.key);
  });
  for (const auto& [key, change] : changes()) EXPECT_TRUE(keys.contains(key)) << key;
}

}  // namespace
}  // namespace pg
