// Every seeded bug must be caught by the checks that the product's kernels pass: a test of the
// tests.
#include "tests/simt/mutants.h"

#include <gtest/gtest.h>

namespace pg::kerneltest {
namespace {

// Small enough that what a mutant overwrites stays inside the guards.
constexpr RmsnormCase kRmsnormCases[] = {
    {.rows = 9, .dim = 67},
    {.rows = 9, .dim = 64},
    {.rows = 3, .dim = 64, .offset = 1},
    {.rows = 2, .dim = 40, .accumulate = true},
    {.rows = 2, .dim = 1100},
    {.rows = 1, .dim = 8300},
};
constexpr SoftcapXentCase kSoftcapXentCases[] = {
    {.rows = 9, .vocab = 67, .targets = 3},
    {.rows = 4, .vocab = 300, .targets = 2},
    {.rows = 2, .vocab = 2053, .targets = 3},
    {.rows = 6, .vocab = 67, .targets = 2, .cap = 11.5f, .shift = 5.0f, .width = 15.0f},
    {.rows = 6, .vocab = 67, .targets = 2, .z_loss = 0.01f, .has_row_weights = true},
};

TEST(Mutants, OfRmsnormAreAllCaught) {
  for (const auto& mutant : rmsnorm_mutants()) {
    std::string error;
    for (const RmsnormCase& shape : kRmsnormCases) {
      if (error.empty()) error = check_rmsnorm(mutant.family, shape);
    }
    EXPECT_NE(error, "") << "not caught: " << mutant.name;
    RecordProperty(mutant.name, error);  // how it was caught, for --gtest_output=xml
  }
}

TEST(Mutants, OfSoftcapXentAreAllCaught) {
  for (const auto& mutant : softcap_xent_mutants()) {
    std::string error;
    for (const SoftcapXentCase& shape : kSoftcapXentCases) {
      if (error.empty()) error = check_softcap_xent(mutant.family, shape);
    }
    EXPECT_NE(error, "") << "not caught: " << mutant.name;
    RecordProperty(mutant.name, error);  // how it was caught, for --gtest_output=xml
  }
}

TEST(Mutants, TheProductPassesTheSameCases) {
  const RmsnormFamily rmsnorm = {&kernels::rmsnorm<float>, &kernels::rmsnorm<bf16>,
                                 &kernels::rmsnorm_backward<float>,
                                 &kernels::rmsnorm_backward<bf16>};
  for (const RmsnormCase& shape : kRmsnormCases) EXPECT_EQ(check_rmsnorm(rmsnorm, shape), "");
  const SoftcapXentFamily xent = {&kernels::softcap_xent, &kernels::softcap_xent_backward<float>,
                                  &kernels::softcap_xent_backward<bf16>};
  for (const SoftcapXentCase& shape : kSoftcapXentCases) {
    EXPECT_EQ(check_softcap_xent(xent, shape), "");
  }
}

}  // namespace
}  // namespace pg::kerneltest
