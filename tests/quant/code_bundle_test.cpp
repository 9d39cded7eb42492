// The counted sources are inside the program, a zpaq archive for each set of features, and more features
// never take less. That they still compile and link is the tests CodeBundle_LinksIntoAScorer.*
// (cmake/code_bundle.cmake), and what they weigh is tests/sizes/sizes.txt.
#include <gtest/gtest.h>

#include <algorithm>

#include "quant/method/seal.h"

namespace pg {
namespace {

constexpr CodeFeatures kPlain, kMixes = {.mixes = true}, kLearns = {.learns = true},
                               kBoth = {.learns = true, .mixes = true};

TEST(CodeBundle, EachSetIsAnArchiveOfTheCountedSize) {
  for (const CodeFeatures& features : {kPlain, kMixes, kLearns, kBoth}) {
    SCOPED_TRACE(describe_features(features));
    const Bytes bundle = code_bundle(features);
    const Bytes magic = {'7', 'k', 'S', 't'};
    ASSERT_GT(bundle.size(), magic.size());
    EXPECT_TRUE(std::equal(magic.begin(), magic.end(), bundle.begin()));
    EXPECT_EQ(counted_code_bytes(features), static_cast<int64_t>(bundle.size()));
    EXPECT_GT(counted_code_files(features), 10);
  }
}

TEST(CodeBundle, AFeatureCostsItsSources) {
  const int64_t plain = counted_code_bytes(kPlain);
  EXPECT_GT(counted_code_bytes(kMixes), plain);
  EXPECT_GT(counted_code_bytes(kLearns), plain);
  EXPECT_GT(counted_code_bytes(kBoth),
            std::max(counted_code_bytes(kMixes), counted_code_bytes(kLearns)));
}

}  // namespace
}  // namespace pg
