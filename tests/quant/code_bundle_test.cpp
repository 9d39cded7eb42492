// The counted sources are inside the program, a zpaq archive for each set of features, and more features
// never take less. That they still compile and link is the tests CodeBundle_LinksIntoAScorer.*
// (cmake/code_bundle.cmake), and what they weigh is tests/sizes/sizes.txt.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "quant/method/seal.h"

namespace pg {
namespace {

CodeFeatures with(CodeFeatures features, Coder coder) {
  features.coder = coder;
  return features;
}

constexpr CodeFeatures kPlain, kMixes = {.mixes = true}, kLearns = {.learns = true},
                               kBoth = {.learns = true, .mixes = true}, kParts = {.parts = true},
                               kAll = {.learns = true, .mixes = true, .parts = true};

TEST(CodeBundle, EachSetIsAnArchiveOfTheCountedSize) {
  std::set<std::string> bundles;
  for (const CodeFeatures& scoring : {kPlain, kMixes, kLearns, kBoth, kParts, kAll}) {
    for (const Coder coder : kCoders) {
      const CodeFeatures features = with(scoring, coder);
      SCOPED_TRACE(describe_features(features));
      const Bytes bundle = code_bundle(features);
      const Bytes magic = {'7', 'k', 'S', 't'};
      ASSERT_GT(bundle.size(), magic.size());
      EXPECT_TRUE(std::equal(magic.begin(), magic.end(), bundle.begin()));
      EXPECT_EQ(counted_code_bytes(features), static_cast<int64_t>(bundle.size()));
      EXPECT_GT(counted_code_files(features), 10);
      EXPECT_TRUE(bundles.emplace(bundle.begin(), bundle.end()).second);
    }
  }
}

TEST(CodeBundle, AFeatureCostsItsSources) {
  for (const Coder coder : kCoders) {
    const auto bytes = [&](CodeFeatures f) { return counted_code_bytes(with(f, coder)); };
    EXPECT_GT(bytes(kMixes), bytes(kPlain));
    EXPECT_GT(bytes(kLearns), bytes(kPlain));
    EXPECT_GT(bytes(kBoth), std::max(bytes(kMixes), bytes(kLearns)));
    EXPECT_GT(bytes(kParts), bytes(kPlain));
    EXPECT_GT(bytes(kAll), bytes(kBoth));
  }
}

// The libraries of zstd and lzma are the system's; our coder is a few kilobytes of source.
TEST(CodeBundle, ACoderCostsItsSources) {
  for (const CodeFeatures& scoring : {kPlain, kMixes, kLearns, kBoth, kParts, kAll}) {
    const int64_t own = counted_code_bytes(with(scoring, Coder::kOwn));
    for (const Coder coder : {Coder::kZstd, Coder::kLzma}) {
      EXPECT_LT(counted_code_bytes(with(scoring, coder)), own - 2000);
    }
  }
}

TEST(CodeBundle, FeaturesHaveNames) {
  EXPECT_EQ(describe_features(kPlain), "plain");
  EXPECT_EQ(describe_features(with(kPlain, Coder::kLzma)), "plain, lzma");
  EXPECT_EQ(describe_features(with(kBoth, Coder::kZstd)), "learning and mixing, zstd");
  EXPECT_EQ(describe_features(kAll), "learning, mixing and parts beyond the base");
}

}  // namespace
}  // namespace pg
