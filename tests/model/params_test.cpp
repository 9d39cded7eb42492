// Every parameter knows where it stands: role, block, adapter factor. Names follow from that, not
// the other way round.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <utility>

#include "src/device/registry/make_device.h"
#include "src/model/learning/adapters.h"
#include "src/model/model.h"
#include "tests/model/model_fixture.h"

namespace pg {
namespace {

std::vector<ParamSpec> list_all(const ModelConfig& config) {
  std::vector<ParamSpec> specs = list_params(config);
  const AdapterConfig adapters = {.rank = 2,
                                  .targets = parse_adapter_targets("q,k,v,out,up,down,head")};
  for (ParamSpec& spec : list_adapter_params(config, adapters)) specs.push_back(spec);
  return specs;
}

TEST(Params, NoTwoStandInOnePlace) {
  for (const ModelConfig& config : {ModelConfig{}, make_small_config()}) {
    const std::vector<ParamSpec> specs = list_all(config);
    for (size_t i = 0; i < specs.size(); ++i) {
      EXPECT_NE(specs[i].place.role, ParamRole::kNone) << specs[i].name;
      for (size_t j = 0; j < i; ++j) {
        EXPECT_NE(specs[i].place, specs[j].place) << specs[i].name << " and " << specs[j].name;
      }
    }
  }
}

TEST(Params, BlocksAreThoseOfTheNames) {
  for (const ParamSpec& spec : list_all(ModelConfig{})) {
    if (spec.place.role == ParamRole::kSkip) {
      const int64_t skip = spec.place.layer - encoder_blocks(ModelConfig{});
      EXPECT_EQ(spec.name, fmt::format("skips.{}", skip));
      continue;
    }
    const std::string prefix = fmt::format("blocks.{}.", spec.place.layer);
    EXPECT_EQ(spec.name.starts_with(prefix), spec.place.layer >= 0) << spec.name;
    EXPECT_EQ(spec.name.starts_with("blocks."), spec.place.layer >= 0) << spec.name;
  }
}

// A role is a name without its block's number.
TEST(Params, ARoleHasOneName) {
  std::map<std::pair<ParamRole, AdapterFactor>, std::string> names;
  std::set<std::string> distinct;
  for (const ParamSpec& spec : list_all(ModelConfig{})) {
    std::string name = spec.name;
    const size_t dot = name.find('.');
    if (dot != std::string::npos && spec.place.layer >= 0) {
      name = spec.place.role == ParamRole::kSkip ? "skips" : name.substr(name.find('.', dot + 1));
    }
    const auto [at, is_new] = names.emplace(std::pair{spec.place.role, spec.place.factor}, name);
    EXPECT_EQ(at->second, name);
    if (is_new) {
      EXPECT_TRUE(distinct.insert(name).second) << name;
    }
  }
}

TEST(Params, AdaptersStandWithTheMatrixThatTheyAdapt) {
  const ModelConfig config = make_small_config();
  const auto device = make_device("cpu");
  const Weights weights(*device, list_all(config), false);
  for (int i = 0; i < weights.count(); ++i) {
    ParamPlace place = weights.spec(i).place;
    if (place.factor == AdapterFactor::kNone) continue;
    const AdapterFactor factor = std::exchange(place.factor, AdapterFactor::kNone);
    const ParamSpec& adapted = weights.spec(weights.find(place));
    const ParamSpec& adapter = weights.spec(i);
    if (factor == AdapterFactor::kA) {
      EXPECT_EQ(adapter.cols, adapted.cols) << adapter.name;
    }
    if (factor == AdapterFactor::kB) {
      EXPECT_EQ(adapter.rows, adapted.rows) << adapter.name;
    }
    const bool is_head = place.role == ParamRole::kTokenEmbedding;
    EXPECT_TRUE(adapter.name.starts_with((is_head ? "head" : adapted.name) + ".lora_"))
        << adapter.name;
  }
}

// Skips lead into blocks; freezing the blocks has always left them free.
TEST(Params, FreezingEveryBlockLeavesTheRestTrainable) {
  const ModelConfig config;
  std::vector<ParamSpec> specs = list_params(config);
  freeze_blocks(specs, config.layers);
  int skips = 0;
  for (const ParamSpec& spec : specs) {
    EXPECT_EQ(spec.trainable, !spec.name.starts_with("blocks.")) << spec.name;
    skips += spec.place.role == ParamRole::kSkip;
  }
  EXPECT_EQ(skips, skip_count(config));
}

}  // namespace
}  // namespace pg
