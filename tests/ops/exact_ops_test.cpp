// The promise of cpu:exact: every op has the same bits on every processor, under every compiler and
// optimisation. exact_hashes.txt has the hash of each case's outputs; every build is held to it.
//
// After a change that is meant to change numbers, PG_ACCEPT_EXACT_HASHES=1 build/tests/ops_test
// --gtest_filter='*ExactOps*' writes the table anew; then see that the other builds agree.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "src/device/registry/make_device.h"
#include "tests/ops/op_runner.h"

namespace pg {

void PrintTo(const OpInfo& op, std::ostream* out);

namespace optest {
namespace {

const char* const kTable = "tests/ops/exact_hashes.txt";  // lines of "hash title"

std::map<std::string, std::string> read_table() {
  std::map<std::string, std::string> hashes;
  std::ifstream file(kTable);
  std::string hash, case_title;
  while (file >> hash && file.ignore(1) && std::getline(file, case_title)) {
    hashes[case_title] = hash;
  }
  return hashes;
}

// In the order of cases; those that are gone go.
void write_table(const std::map<std::string, std::string>& hashes) {
  std::ofstream file(kTable);
  for (const OpCase& op_case : all_cases()) {
    const auto found = hashes.find(title(op_case));
    if (found != hashes.end()) file << found->second << ' ' << found->first << '\n';
  }
}

bool is_accepting() { return std::getenv("PG_ACCEPT_EXACT_HASHES") != nullptr; }

class ExactOps : public testing::TestWithParam<OpInfo> {};

TEST_P(ExactOps, HaveTheSameBitsEverywhere) {
  const std::unique_ptr<Device> device = make_device("cpu:exact");
  std::map<std::string, std::string> table = read_table();
  for (const OpCase& op_case : all_cases()) {
    if (op_case.op != GetParam().id) continue;
    const std::string hash = hash_outputs(*device, op_case);
    if (is_accepting()) {
      table[title(op_case)] = hash;
    } else {
      EXPECT_EQ(hash, table[title(op_case)]) << title(op_case);
    }
  }
  if (!is_accepting()) return;
  write_table(table);
  ADD_FAILURE() << "the table was written anew: look at what changed, and run without "
                   "PG_ACCEPT_EXACT_HASHES";
}

INSTANTIATE_TEST_SUITE_P(Each, ExactOps, testing::ValuesIn(kOps),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(ExactOpsTable, HasALineForEachCaseAndNoOther) {
  std::map<std::string, std::string> table = read_table();
  for (const OpCase& op_case : all_cases()) {
    EXPECT_EQ(table.erase(title(op_case)), 1u) << "no line for " << title(op_case);
  }
  for (const auto& [case_title, hash] : table) ADD_FAILURE() << "no such case: " << case_title;
}

// A hash that missed a bit would promise nothing.
TEST(ExactOpsTable, AHashTellsOutputsOfOtherInputsApart) {
  const std::unique_ptr<Device> device = make_device("cpu:exact");
  OpCase op_case = all_cases().front();
  const std::string hash = hash_outputs(*device, op_case);
  EXPECT_EQ(hash, hash_outputs(*device, op_case));
  op_case.shape += " drawn anew";
  EXPECT_NE(hash, hash_outputs(*device, op_case));
}

}  // namespace
}  // namespace optest
}  // namespace pg
