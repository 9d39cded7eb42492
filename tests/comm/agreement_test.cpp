#include "src/device/comm/agreement.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "src/base/error.h"
#include "src/device/comm/run_ranks.h"

namespace pg {
namespace {

using Facts = std::vector<std::pair<std::string, std::string>>;

// What every one of three ranks throws, which must be the same, when rank 2 has `other`.
std::string disagreement(const Facts& usual, const Facts& other) {
  std::vector<std::string> told(3);
  run_ranks(3, [&](Comm& comm) {
    try {
      check_agreement(comm, comm.rank() == 2 ? other : usual);
    } catch (const Error& error) {
      told[static_cast<size_t>(comm.rank())] = error.what();
    }
  });
  EXPECT_EQ(told[0], told[1]);
  EXPECT_EQ(told[0], told[2]);
  return told[0];
}

const Facts kFacts = {{"recipe", "aa11"}, {"data", "bb22"}, {"build", "v1"}, {"leaves", "8"}};
const std::string kAdvice = "; start every rank with the same program, recipe and data";

TEST(Agreement, OfAllRanksIsNoError) {
  EXPECT_EQ(disagreement(kFacts, kFacts), "");
  EXPECT_EQ(disagreement({}, {}), "");
  run_ranks(1, [](Comm& comm) { check_agreement(comm, kFacts); });
}

TEST(Agreement, NamesWhatDiffersAndWhere) {
  for (size_t i = 0; i < kFacts.size(); ++i) {
    Facts other = kFacts;
    other[i].second = "other";
    EXPECT_EQ(disagreement(kFacts, other), "ranks disagree: " + kFacts[i].first + " is \"" +
                                               kFacts[i].second +
                                               "\" on rank 0 and \"other\" on rank 2" + kAdvice);
  }
}

TEST(Agreement, OfDifferentQuestionsIsNone) {
  Facts other = kFacts;
  other.pop_back();
  EXPECT_EQ(
      disagreement(kFacts, other),
      "ranks disagree: \"leaves\" is asked for on rank 0 and \"nothing\" on rank 2" + kAdvice);
  EXPECT_EQ(
      disagreement(other, kFacts),
      "ranks disagree: \"nothing\" is asked for on rank 0 and \"leaves\" on rank 2" + kAdvice);
}

}  // namespace
}  // namespace pg
